import { ask } from "./request.js";
import { live } from "./live.js";
import * as cards from "./cards.js";

// Says why something is not to be had, in place of what would ask for it: a card, or a control of one.
function leaveOut(name, why) {
	const sentence = document.createElement("p");
	sentence.className = "status missing";
	sentence.textContent = why;
	const card = document.getElementById(name);
	if (card !== null) {
		card.replaceChildren(card.querySelector("h2"), sentence);
		return;
	}
	for (const control of document.querySelectorAll(`[data-convert="${name}"], [data-compress="${name}"], [data-trouble="${name}"], [value="${name}"]`)) {
		control.closest(".card").querySelector(".buttons").after(sentence.cloneNode(true));
		(control.closest("label") ?? control).remove();
	}
}

const missing = JSON.parse(await (await ask("missing.json")).blob.text());
for (const [name, why] of Object.entries(missing)) leaveOut(name, why);
for (const name of Object.keys(cards)) {
	if (!(name in missing)) cards[name](document.getElementById(name));
}
live(document.getElementById("live"));

// The cards: each takes what a visitor gives, asks Varnish, and shows the answer. What visitors and programs say is text
// or a picture here, never HTML.

import { ask, chosenFile, duration, size, took } from "./request.js";
import { bars } from "./plots.js";

function say(card, text, good = true) {
	const status = card.querySelector(".status");
	status.textContent = text;
	status.className = `status ${good ? "good" : "bad"}`;
}

// Does something when a button is pressed, and not a second time before that has ended. The button keeps the focus.
function onPress(button, card, action) {
	button.addEventListener("click", async (event) => {
		event.preventDefault();
		if (button.getAttribute("aria-disabled") === "true") return;
		button.setAttribute("aria-disabled", "true");
		try {
			await action();
		} catch (error) {
			const where = card.querySelector(".status, output");
			where.textContent = error.message;
			where.classList.add("bad");
		}
		button.removeAttribute("aria-disabled");
	});
}

function output(card, text) {
	const element = card.querySelector(".output");
	element.textContent = text;
	element.hidden = text === "";
}

// The VCL of what was chosen.
function showVcl(card, name) {
	for (const code of card.querySelectorAll(".vcl[data-for]")) code.hidden = code.dataset.for !== name;
}

async function failure(answer) {
	const text = answer.blob.type.startsWith("text/plain") ? (await answer.blob.text()).trim() : "";
	return `Status ${answer.status}${text === "" ? "" : `: ${text}`}`;
}

// Throws what an answer says that is none.
async function want(answer) {
	if (!answer.ok) throw new Error(await failure(answer));
	return answer;
}

export function hello(card) {
	const button = card.querySelector("button");
	const said = card.querySelector("output");
	const chart = card.querySelector(".bars");

	async function askTimes(count) {
		const times = [];
		said.classList.remove("bad");
		for (let i = 0; i < count; i++) {
			times.push((await want(await ask("hello"))).time);
			bars(chart, times, count, 2 * [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]);
		}
		times.sort((a, b) => a - b);
		const part = (share) => duration(times[Math.min(Math.floor(count * share), count - 1)]);
		said.textContent = `${count} requests, ${count} answers, each from a pristine virtual machine: half of them ` +
			`within ${part(0.5)}, 95 % within ${part(0.95)}, Varnish included.`;
	}
	onPress(button, card, () => askTimes(100));
	// A few to begin with: it works, and how fast.
	askTimes(20).catch((error) => { said.textContent = error.message; });
}

const conversions = { webp: "WebP", avif: "AVIF", thumbnail: "Thumbnail", watermark: "Watermark" };

export function pictures(card) {
	const upload = card.querySelector("input[type=file]");
	const results = card.querySelector(".results");

	// The picture's size, and what is asked for to have it converted. An upload is POSTed; what is made of a picture of
	// the page's own is in Varnish's cache the second time.
	async function source() {
		const file = chosenFile(upload);
		if (file !== null) return { bytes: file.size, convert: (kind) => ask(kind, file, file.type) };
		const name = card.querySelector("input[name=sample]:checked").value;
		const { blob } = await want(await ask(`pictures/${name}`));
		return { bytes: blob.size, convert: (kind) => ask(`${kind}/${name}`) };
	}

	function figure(kind, answer, before) {
		const element = document.createElement("figure");
		const frame = document.createElement("div");
		const image = new Image();
		const caption = document.createElement("figcaption");
		const detail = document.createElement("span");
		image.src = URL.createObjectURL(answer.blob);
		image.title = answer.blob.type;
		image.alt = `The picture, as ${conversions[kind]}`;
		frame.className = "frame";
		frame.append(image);
		detail.textContent = `${Math.round((answer.blob.size / before) * 100)} % of ${size(before)}, ${took(answer)}`;
		caption.append(`${conversions[kind]}, ${size(answer.blob.size)} `, detail);
		element.dataset.kind = kind;
		element.append(frame, caption);
		return element;
	}

	async function show(kinds) {
		for (const image of results.querySelectorAll("img")) URL.revokeObjectURL(image.src);
		results.replaceChildren();
		say(card, "Converting ...");
		const { bytes, convert } = await source();
		for (const kind of kinds) {
			results.append(figure(kind, await want(await convert(kind)), bytes));
		}
		say(card, "");
	}

	for (const button of card.querySelectorAll("[data-convert]")) {
		const kind = button.dataset.convert;
		onPress(button, card, () => show(kind === "all" ? kindsThere() : [kind]));
	}
	const kindsThere = () => Object.keys(conversions).filter((kind) => card.querySelector(`[data-convert="${kind}"]`) !== null);
	for (const sample of card.querySelectorAll("input[name=sample]")) {
		sample.addEventListener("change", () => { upload.value = ""; });
	}
	upload.addEventListener("change", () => {
		for (const sample of card.querySelectorAll("input[name=sample]")) sample.checked = false;
		if (upload.files.length === 0) card.querySelector("input[name=sample]").checked = true;
	});
}

const leave = `import builtins
builtins.secret = "I was here"
open("/tmp/secret", "w").write("I was here")
print("In memory:", builtins.secret)
print("In a file:", open("/tmp/secret").read())
`;
const look = `import builtins, os
print("In memory:", getattr(builtins, "secret", "nothing"))
print("In a file:", os.path.exists("/tmp/secret") and open("/tmp/secret").read() or "nothing")
`;

export function isolation(card) {
	const log = card.querySelector(".log");

	function note(text, good) {
		const item = document.createElement("li");
		item.textContent = text;
		item.className = good ? "good" : "bad";
		log.append(item);
	}

	async function trouble(kind) {
		const failed = await ask(`misbehave/${kind}`);
		note(`Its request ended after ${duration(failed.time)} with status ${failed.status}; the reason is in Varnish's log.`, failed.status >= 500);
		const next = await want(await ask("misbehave/nothing"));
		note(`The next request: status ${next.status} after ${duration(next.time)}, "${(await next.blob.text()).trim()}".`, true);
	}

	async function visitors() {
		for (const [who, script] of [["The first visitor leaves", leave], ["The next visitor finds", look]]) {
			const text = await (await want(await ask("python", script, "text/plain"))).blob.text();
			note(`${who}: ${text.trim().replaceAll("\n", "; ")}`, true);
		}
	}

	for (const button of card.querySelectorAll("[data-trouble]")) {
		const kind = button.dataset.trouble;
		onPress(button, card, async () => {
			log.replaceChildren();
			await (kind === "leave" ? visitors() : trouble(kind));
		});
	}
}

export function keep(card) {
	onPress(card.querySelector("[data-keep]"), card, async () => {
		output(card, "");
		const answer = await want(await ask("note", card.querySelector("input").value, "text/plain"));
		say(card, `Kept, in ${duration(answer.time)}.`);
	});
	onPress(card.querySelector("[data-find]"), card, async () => {
		output(card, "");
		const answer = await ask("note");
		if (answer.status === 404) return say(card, "Nobody has kept anything in the last minute.");
		output(card, await (await want(answer)).blob.text());
		say(card, `Found, in ${duration(answer.time)}.`);
	});
}

const scriptSamples = {
	python: `import math, sys

print("Python", sys.version.split()[0])
print("20! =", math.factorial(20))
print(sorted("hello from a virtual machine".split()))
`,
	node: `console.log("Node", process.version);
console.log("2 ** 100 =", 2n ** 100n);
console.log([..."hello"].reverse().join(""));
`,
};

// One text field for several kinds of text, of which each keeps what was written. Returns a function that says which kind
// is chosen.
function kindsOfText(card, samples, vclOf) {
	const text = card.querySelector("textarea");
	const written = { ...samples };
	let kind = card.querySelector("input[type=radio]:checked").value;
	text.value = written[kind];
	for (const choice of card.querySelectorAll("input[type=radio]")) {
		choice.addEventListener("change", () => {
			written[kind] = text.value;
			kind = choice.value;
			text.value = written[kind];
			showVcl(card, vclOf(kind));
		});
	}
	return () => kind;
}

export function scripts(card) {
	const language = kindsOfText(card, scriptSamples, (kind) => kind);
	onPress(card.querySelector("[data-run]"), card, async () => {
		say(card, "Running ...");
		const answer = await ask(language(), card.querySelector("textarea").value, "text/plain");
		output(card, answer.ok ? await answer.blob.text() : "");
		if (!answer.ok) throw new Error(`Status ${answer.status} after ${duration(answer.time)}: the script failed, or took more than it may.`);
		say(card, `Done in ${duration(answer.time)}.`);
	});
}

// A card with a text that is sent as it is, to a path and with a content type that may be another one each time; `show`
// gets the answer and how many bytes were sent.
function textCard(card, path, type, show) {
	onPress(card.querySelector("[data-send]"), card, async () => {
		const sent = new Blob([card.querySelector("textarea").value]);
		say(card, "Asking ...");
		await show(await ask(path(), sent, type()), sent.size);
	});
}

const documentTypes = { js: "text/javascript", json: "application/json", html: "text/html", css: "text/css" };
const documentSamples = {
	js: `// The largest of some numbers, and where it is.
function largest(numbers) {
    let position = 0;
    for (let index = 1; index < numbers.length; index++) {
        if (numbers[index] > numbers[position]) {
            position = index;
        }
    }
    return { position: position, number: numbers[position] };
}
console.log(largest([3, 1, 4, 1, 5, 9, 2, 6]));
`,
	json: `{
    "name": "tinykvm",
    "programs": [ "minify", "image", "xml" ],
    "fast": true,
    "numbers": [ 18446744073709551615, 1.50, -0 ]
}
`,
	html: `<!doctype html>
<html>
  <head>
    <title>  A page  </title>
    <!-- Nobody reads this. -->
  </head>
  <body>
    <p class="first">   Some   words. </p>
    <input type="text" disabled="disabled">
  </body>
</html>
`,
	css: `/* A button. */
.button {
    color: #ff0000;
    background-color: rgba(255, 255, 255, 1);
    margin: 0px 0px 0px 0px;
    font-weight: bold;
}
`,
};

export function minify(card) {
	const program = (kind) => kind === "json" ? "minify" : "minify-web";
	const kind = kindsOfText(card, documentSamples, program);
	textCard(card, () => program(kind()), () => documentTypes[kind()], async (answer, before) => {
		output(card, await (await want(answer)).blob.text());
		const understood = answer.headers.get("X-Minified") !== "no";
		say(card, understood ? `${size(before)} became ${size(answer.blob.size)} in ${duration(answer.time)}.`
			: "There is an error in it, so it came back as it was.", understood);
	});
}

const wrongDocuments = {
	xml: `<library>
  <book year="1605">
    <title>Don Quixote</title>
  </book>
  <book year="1719">
    <title>Robinson Crusoe</titel>
  </book>
</library>
`,
	json: `{
  "books": [
    { "year": 1605, "title": "Don Quixote" }
    { "year": 1719, "title": "Robinson Crusoe" }
  ]
}
`,
};

export function validate(card) {
	const kind = kindsOfText(card, wrongDocuments, (format) => format);
	textCard(card, kind, () => `application/${kind()}`, async (answer) => {
		const line = answer.headers.get("X-ErrorLine");
		if (!answer.ok && line === null) throw new Error(await failure(answer));
		output(card, answer.ok ? "" : (await answer.blob.text()).trim());
		say(card, answer.ok ? `Well-formed, in ${duration(answer.time)}.` : `Not well-formed: line ${line}, said with status ${answer.status}.`, answer.ok);
	});
}

export function compress(card) {
	const table = card.querySelector("table");
	for (const button of card.querySelectorAll("[data-compress]")) {
		const format = button.dataset.compress;
		onPress(button, card, async () => {
			const document_ = chosenFile(card.querySelector("input[type=file]")) ?? (await want(await ask("cards.js"))).blob;
			const answer = await want(await ask(format, document_, "application/octet-stream"));
			const row = table.tBodies[0].insertRow();
			const saved = `${Math.round((1 - answer.blob.size / Math.max(document_.size, 1)) * 100)} %`;
			for (const cell of [format, size(document_.size), size(answer.blob.size), saved, duration(answer.time)]) {
				row.insertCell().textContent = cell;
			}
			table.hidden = false;
			showVcl(card, format);
			say(card, "");
		});
	}
}

export function speech(card) {
	const audio = card.querySelector("audio");
	textCard(card, () => `speech/${card.querySelector("select").value}`, () => "text/plain", async (answer) => {
		URL.revokeObjectURL(audio.src);
		audio.src = URL.createObjectURL((await want(answer)).blob);
		audio.hidden = false;
		say(card, `${size(answer.blob.size)} of sound in ${duration(answer.time)}.`);
		audio.play().catch(() => {});  // A browser may leave that to the visitor, who has the controls.
	});
}

export function read(card) {
	const preview = card.querySelector(".preview");
	const upload = card.querySelector("input[type=file]");
	const sample = preview.getAttribute("src");
	upload.addEventListener("change", () => {
		const file = upload.files[0];
		preview.src = file === undefined ? sample : URL.createObjectURL(file);
		preview.alt = file === undefined ? "A notice with some lines of text" : "The picture that was chosen";
	});
	onPress(card.querySelector("[data-send]"), card, async () => {
		say(card, "Reading ...");
		const picture = chosenFile(upload) ?? (await want(await ask(sample))).blob;
		const answer = await want(await ask("read", picture, picture.type));
		const text = (await answer.blob.text()).trim();
		output(card, text);
		say(card, text === "" ? "There is no text in it." : `Read in ${duration(answer.time)}.`);
	});
}

export function answer(card) {
	onPress(card.querySelector("button"), card, async () => {
		say(card, "Thinking ...");
		const found = await want(await ask("answer", card.querySelector("input").value, "text/plain"));
		output(card, (await found.blob.text()).trim());
		say(card, `In ${duration(found.time)}; fits ${Number(found.headers.get("X-Score")).toFixed(2)} of 1.`);
	});
}

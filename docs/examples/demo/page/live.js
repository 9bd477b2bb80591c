// The panel of what programs have done, from the JSON of tinykvm.stats(), asked once a second while the page is looked at.

import { ask, duration, size } from "./request.js";
import { line } from "./plots.js";

const room = 60;
const plots = ["requests", "machines", "pages", "time"];

function sum(programs, number) {
	return programs.reduce((total, program) => total + number(program), 0);
}

function totals(programs) {
	return {
		at: performance.now() / 1000,
		requests: sum(programs, (program) => program.request.totals.invocations),
		machines: sum(programs, (program) => program.request.machines.length),
		pages: sum(programs, (program) => program.request.totals.pages_restored),
		cpu: sum(programs, (program) => program.request.totals.request_cpu_time),
	};
}

// What is plotted of the time between two looks, how it is said, and the number beside it.
function between(before, now) {
	const seconds = Math.max(now.at - before.at, 0.001);
	const requests = now.requests - before.requests;
	const time = requests > 0 ? ((now.cpu - before.cpu) / requests) * 1000 : 0;
	return {
		requests: { value: requests / seconds, said: `${(requests / seconds).toFixed(0)} in a second`, number: now.requests },
		machines: { value: now.machines, said: "ready now", number: now.machines },
		pages: {
			value: (now.pages - before.pages) / seconds,
			said: requests > 0 ? `${((now.pages - before.pages) / requests).toFixed(0)} for a request` : "none at the moment",
			number: now.pages,
		},
		time: {
			value: time,
			said: requests > 0 ? "in the last second" : "no request at the moment",
			number: requests > 0 ? duration(time) : "–",
		},
	};
}

function row(name, program) {
	const { totals: all, machines } = program.request;
	const cells = [
		name,
		all.invocations,
		all.exceptions + all.timeouts,
		machines.length,
		machines.length > 0 ? size(machines[0].vm_main_memory) : "",
		all.invocations > 0 ? duration((all.request_cpu_time / all.invocations) * 1000) : "",
	];
	const element = document.createElement("tr");
	for (const cell of cells) element.insertCell().textContent = String(cell);
	return element;
}

export function live(panel) {
	panel.querySelector("details").open = matchMedia("(min-width: 60rem)").matches;
	const history = Object.fromEntries(plots.map((name) => [name, []]));
	let before = null;

	function show(numbers) {
		for (const name of plots) {
			const { value, said, number } = numbers[name];
			const item = panel.querySelector(`[data-plot="${name}"]`);
			history[name] = [...history[name], value].slice(-room);
			item.querySelector("b").textContent = typeof number === "number" ? number.toLocaleString("en") : number;
			item.querySelector("small").textContent = said;
			line(item.querySelector("svg"), history[name], room);
		}
	}

	async function look() {
		const statistics = JSON.parse(await (await ask("stats")).blob.text());
		const served = Object.entries(statistics).filter(([, program]) => program.request !== undefined);
		const now = totals(served.map(([, program]) => program));
		show(between(before ?? now, now));
		before = now;
		panel.querySelector("tbody").replaceChildren(...served.map(([name, program]) => row(name, program)));
	}

	async function lookAgain() {
		try {
			if (!document.hidden) await look();
		} catch {
			before = null;  // Varnish is gone, or starts again: the numbers go on when it answers.
		}
		setTimeout(lookAgain, 1000);
	}
	lookAgain();
}

// Requests to this Varnish, with what they took, and how sizes and times are written.

export const largestUpload = 8 * 1024 * 1024;

// The milliseconds that Varnish says it took, and whether the answer was in its cache.
function serverTiming(response) {
	const said = response.headers.get("Server-Timing") ?? "";
	return { time: Number(/dur=([0-9.]+)/.exec(said)?.[1] ?? NaN), hit: /(^|[ ,])hit\b/.test(said) };
}

// Asks for a path; with a body it is a POST. An answer of any status is an answer; throws when there is none.
export async function ask(path, body, type = "") {
	const post = body !== undefined;
	const response = await fetch(path, {
		method: post ? "POST" : "GET",
		body,
		headers: post && type !== "" ? { "Content-Type": type } : {},
		cache: "no-store",
	});
	return { ok: response.ok, status: response.status, headers: response.headers, blob: await response.blob(), ...serverTiming(response) };
}

export function size(bytes) {
	if (bytes < 1000) return `${bytes} bytes`;
	if (bytes < 999500) return `${(bytes / 1000).toPrecision(3)} kB`;
	return `${(bytes / 1e6).toPrecision(3)} MB`;
}

export function duration(milliseconds) {
	if (milliseconds < 10) return `${milliseconds.toFixed(2)} ms`;
	if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`;
	return `${(milliseconds / 1000).toFixed(2)} s`;
}

export function took(answer) {
	return answer.hit ? "from Varnish's cache" : duration(answer.time);
}

// The file that was chosen, or null without one. Throws a sentence for the visitor when it is too large.
export function chosenFile(input) {
	const file = input.files[0] ?? null;
	if (file !== null && file.size > largestUpload) {
		throw new Error(`${file.name} has ${size(file.size)}; an upload has at most 8 MiB.`);
	}
	return file;
}

// Runs the script that is its standard input. It has started before it is frozen; an error of the script is a part of what it
// prints.
const vm = require('vm');
const pieces = [];

function report(error) {
	console.log(String(error?.stack ?? error).split('\n    at Script.runInThisContext')[0]);
}

process.stdin.setEncoding('utf8');
process.stdin.on('data', (piece) => pieces.push(piece));
process.stdin.on('end', () => {
	globalThis.require = require;
	process.on('uncaughtException', report);  // also one of a timer, or of a promise
	vm.runInThisContext(pieces.join(''), {filename: 'script'});
});

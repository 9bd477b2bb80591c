// Two threads of Node that send messages to each other: messages.js ROUNDS prints microseconds for each.
const { Worker, isMainThread, parentPort } = require('worker_threads');

if (isMainThread) {
    const rounds = Number(process.argv[2]);
    const worker = new Worker(__filename);
    let begin, sent = 0;
    worker.on('message', () => {
        begin ??= process.hrtime.bigint();
        if (sent++ < rounds) return worker.postMessage(sent);
        console.log((Number(process.hrtime.bigint() - begin) / 1000 / rounds / 2).toFixed(4));
        worker.terminate();
    });
} else {
    parentPort.on('message', value => parentPort.postMessage(value));
    parentPort.postMessage(0);
}

// A WebSocket server of Node and its usual library: it adds up the numbers that a client sends.
const { WebSocketServer } = require('ws');

let visitors = 0;  // since the server started

new WebSocketServer({ port: 8080 }).on('connection', socket => {
	let total = 0;
	visitors++;
	socket.send(`visitor ${visitors}`);
	socket.on('message', number => socket.send(String(total += Number(number))));
});

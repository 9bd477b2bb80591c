// A hello of Node's own library. The argument is the port.
require('http').createServer((request, response) => {
	response.setHeader('Content-Type', 'text/plain');
	response.end('Hello, world!\n');
}).listen(Number(process.argv[2]), '127.0.0.1');

// A server of Node's own library: what a client sends comes back in capital letters.
require('http').createServer((request, response) => {
	response.setHeader('Content-Type', 'text/plain');
	if (request.method === 'GET') {
		response.end('hello from node, ' + request.url + '\n');
		return;
	}
	request.setEncoding('utf8');
	request.on('data', text => response.write(text.toUpperCase()));
	request.on('end', () => response.end());
}).listen(8080);

// How many requests this process has answered, and the SHA-256 of the body; what it has seen is kept for the next.
const seen = [];
require('http').createServer((request, response) => {
	const hash = require('crypto').createHash('sha256');
	request.on('data', data => hash.update(data));
	request.on('end', () => {
		if (request.url !== '/') seen.push(request.url);  // that of the warm-up
		response.end(seen.join(' ') + ' ' + hash.digest('hex'));
	});
}).listen(8080);

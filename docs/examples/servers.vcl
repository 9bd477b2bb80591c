# HTTP servers as they are: a script of Node's and one of Python's, each request in a pristine copy of the server.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("node", """{
		"filename": "/usr/bin/node",
		"main_arguments": ["/srv/app.js"],
		"protocol": "http",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/share/nodejs", "/srv"],
		"max_memory": 512,
		"max_request_memory": 128,
		"address_space": 32000,
		"warmup": { "num_requests": 10 }
	}""");
	tinykvm.configure("python", """{
		"filename": "/usr/bin/python3",
		"main_arguments": ["/srv/app.py"],
		"protocol": "http",
		"listen": 8000,
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/bin", "/srv"]
	}""");
}

sub vcl_recv {
	return (pass);
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/words") {
		set bereq.backend = tinykvm.to_backend("python");
		return (fetch);
	}
	set bereq.backend = tinykvm.to_backend("node");
}

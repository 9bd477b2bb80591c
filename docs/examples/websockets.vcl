# WebSocket servers as they are, of Node and of Python: each connection in a virtual machine of its own.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("sums", """{
		"filename": "/usr/bin/node",
		"main_arguments": ["/srv/sums.js"],
		"protocol": "http",
		"websocket_server": true,
		"concurrency": 20,
		"environment": ["NODE_PATH=/usr/share/nodejs"],
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/share/nodejs", "/srv"],
		"max_memory": 512,
		"max_request_memory": 128,
		"address_space": 32000
	}""");
	tinykvm.configure("clock", """{
		"filename": "/usr/bin/python3",
		"main_arguments": ["/srv/clock.py"],
		"protocol": "http",
		"websocket_server": true,
		"concurrency": 20,
		"max_connection_time": 600,
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/bin", "/srv"]
	}""");
}

sub vcl_recv {
	if (req.http.Upgrade ~ "(?i)websocket") {
		return (pipe);
	}
	return (synth(404));
}

sub vcl_pipe {
	set bereq.http.Upgrade = req.http.Upgrade;
	set bereq.http.Connection = req.http.Connection;
	if (req.url ~ "^/clock") {
		set bereq.backend = tinykvm.to_backend("clock");
	} else {
		set bereq.backend = tinykvm.to_backend("sums");
	}
}

# Answers of scripts: docs/scripts.md. The scripts are docs/examples/scripts, in /srv/scripts.
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.library("file:///etc/varnish/scripts.json");
	# A short script can be here.
	tinykvm.configure("greet", """{
		"filename": "/usr/lib/tinykvm/lua",
		"main_arguments": ["-e", "function handle(request) return 'Hello, ' .. (request.headers['x-name'] or 'you') .. '!\\n' end"],
		"allowed_paths": ["/lib64", "/lib", "/usr/lib"]
	}""");
}

sub vcl_backend_fetch {
	if (bereq.url == "/greet") {
		set bereq.backend = tinykvm.to_backend("greet");
	} elsif (bereq.url == "/news") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080/feed.json");
		set bereq.backend = tinykvm.to_backend("js");
	} elsif (bereq.url ~ "^/old/") {
		set bereq.backend = tinykvm.to_backend("lua", bereq.url);
	} else {
		set bereq.backend = server;
	}
}

# What ./demo runs. Programs are configured once, in vcl_init, and used by one line each.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("hello", """{"filename": "/srv/programs/hello"}""");
	tinykvm.configure("to_string", """{"filename": "/srv/programs/to_string"}""");
	tinykvm.configure("misbehave", """{
		"filename": "/srv/programs/misbehave",
		"max_request_time": 1,
		"max_request_memory": 32
	}""");
	# A dynamically linked program sees its libraries and itself, for reading, and nothing else.
	tinykvm.configure("minify", """{
		"filename": "/srv/programs/minify",
		"concurrency": 2,
		"max_request_memory": 256,
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/srv/programs/minify"]
	}""");
}

sub vcl_recv {
	# One page, one object in the cache: query parameters in one order, without those of advertisers.
	set req.url = tinykvm.to_string("to_string", req.url, "utm_*,fbclid", req.url);

	if (req.url ~ "^/url") {
		return (synth(200, req.url));
	}
	if (req.method == "POST") {
		return (pass);
	}
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/minify") {
		# The body of the POST goes to the program, what the program makes of it is the response.
		set bereq.backend = tinykvm.to_backend("minify");
	} elsif (bereq.url ~ "^/misbehave/") {
		set bereq.backend = tinykvm.to_backend("misbehave",
		    config=regsub(bereq.url, "^/misbehave/", ""));
	} else {
		set bereq.backend = tinykvm.to_backend("hello");
	}
}

sub vcl_synth {
	if (req.url ~ "^/url") {
		set resp.http.Content-Type = "text/plain";
		synthetic(req.url);
		return (deliver);
	}
}

# How programs are set up: what several have in common, what each has of its own, and when they are started.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	# A group: no filename, and not the name of a program.
	tinykvm.configure("documents", """{
		"max_request_time": 2,
		"max_request_memory": 256,
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/srv/programs"],
		"on_error": "original"   // a document is better than none
	}""");
	tinykvm.configure("minify", """{
		"filename": "/srv/programs/minify",
		"group": "documents",
		"concurrency": 4
	}""");

	# Called for every request, so it shall be there when the first one comes: the VCL is loaded when it is.
	tinykvm.configure("to_string", """{"filename": "/srv/programs/to_string", "concurrency": 8}""");
	tinykvm.start("to_string", async=false);

	# Started while the first requests may come already; those for it wait.
	tinykvm.configure("hello", """{"filename": "/srv/programs/hello"}""");
	tinykvm.start("hello");
}

sub vcl_recv {
	# For a load balancer: not before everything runs.
	if (req.url == "/health") {
		if (tinykvm.ready("to_string") && tinykvm.ready("hello")) {
			return (synth(200));
		}
		return (synth(503));
	}
	set req.url = tinykvm.to_string("to_string", req.url, "utm_*", on_error=req.url);
	if (req.method == "POST") {
		return (pass);
	}
}

sub vcl_backend_fetch {
	if (bereq.method == "POST") {
		set bereq.backend = tinykvm.to_backend("minify");
	} else {
		set bereq.backend = tinykvm.to_backend("hello");
	}
}

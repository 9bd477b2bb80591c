# Responses of a web server, processed by a program before they are cached. Varnish is started with
#     -a :80 -a self=/run/varnish/self.sock,user=vcache,mode=600
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.init_self_requests("/run/varnish/self.sock");
	tinykvm.configure("minify", """{
		"filename": "/srv/programs/minify",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/srv/programs/minify"],
		"max_request_memory": 256,
		"on_error": "original"
	}""");
}

sub vcl_recv {
	# What Varnish asks itself for goes to the server and is not cached twice.
	if (local.socket == "self") {
		return (pass);
	}
}

sub vcl_backend_fetch {
	if (bereq.url ~ "\.json$" && !bereq.uncacheable) {
		# The same URL, fetched by Varnish from itself, is what the program gets as a POST.
		tinykvm.chain("fetch", bereq.url);
		set bereq.backend = tinykvm.to_backend("minify");
	} else {
		set bereq.backend = server;
		unset bereq.http.X-Tinykvm-Depth;  # no business of others
	}
}

sub vcl_backend_response {
	if (beresp.status >= 500 && bereq.is_bgfetch) {
		# Clients go on getting the old copy, until its grace is over.
		return (abandon);
	}
	if (beresp.http.X-Tinykvm-Failed) {
		# The document as it came. The next try may succeed.
		if (beresp.ttl > 10s) {
			set beresp.ttl = 10s;
		}
		unset beresp.http.X-Tinykvm-Failed;
	}
	# What the server says of cookies and of caching holds for what is made of its documents: the built-in VCL follows here.
}

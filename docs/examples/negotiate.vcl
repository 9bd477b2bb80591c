# Two forms of each document: minified for clients that ask for JSON, as it was written for people with a browser. What
# the server says about its documents (how long they are good for, who may read them) is said of both.
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.configure("minify", """{
		"filename": "/srv/programs/minify",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/srv/programs/minify"],
		"max_request_memory": 256,
		"on_error": "original"
	}""");
}

sub vcl_recv {
	# Of all that clients say here only one thing matters. So there are two objects in the cache, and not one for each
	# browser.
	if (req.http.Accept ~ "(?i)(^|,)\s*application/json\s*(,|$)") {
		set req.http.Accept = "application/json";
	} else {
		unset req.http.Accept;
	}
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/[^?]*\.json$" && bereq.http.Accept) {
		# When the cache has an old copy, the server is asked whether that is still good. Then nothing is minified.
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url,
		    """{ "forward_headers": ["If-None-Match", "If-Modified-Since"], "timeout": 5 }""");
		set bereq.backend = tinykvm.to_backend("minify");
	} else {
		set bereq.backend = server;
	}
}

sub vcl_backend_response {
	if (bereq.url ~ "^/[^?]*\.json$") {
		# Also on the document as it was written: a cache in front of this one would give it to everybody.
		if (!beresp.http.Vary) {
			set beresp.http.Vary = "Accept";
		} elsif (beresp.http.Vary !~ "(?i)(^|,)\s*Accept\s*(,|$)") {
			set beresp.http.Vary = beresp.http.Vary + ", Accept";
		}
		set beresp.keep = 1h;
	}
}

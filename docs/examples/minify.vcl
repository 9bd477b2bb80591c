# Scripts, style sheets, pages and drawings of a server, minified before they are cached: docs/minify.md.
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.library("file:///etc/varnish/minify.json");
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/[^?]*\.json(\?|$)") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url);
		set bereq.backend = tinykvm.to_backend("minify");
	} elsif (bereq.url ~ "^/pages/") {
		# Scripts in these pages stay as they are, because a Content-Security-Policy has their hashes.
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url);
		set bereq.backend = tinykvm.to_backend("minify-html", "", """{ "html": { "embedded": false } }""");
	} elsif (bereq.url ~ "^/[^?]*\.(m?js|css|html?|svg|xml)(\?|$)") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url);
		set bereq.backend = tinykvm.to_backend("minify-web");
	} else {
		set bereq.backend = server;
	}
}

sub vcl_backend_response {
	if (beresp.http.X-Tinykvm-Failed) {
		# The document as it came, because there was not enough memory or time. The next try may succeed.
		if (beresp.ttl > 10s) {
			set beresp.ttl = 10s;
		}
		unset beresp.http.X-Tinykvm-Failed;
	}
}

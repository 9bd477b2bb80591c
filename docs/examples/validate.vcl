# A server's XML and JSON, looked at before it is cached: what is broken does not take the place of what was not.
# docs/validation.md explains it.
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.library("file:///etc/varnish/documents.json");
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/[^?]*\.xml$") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url);
		set bereq.backend = tinykvm.to_backend("xml");
	} elsif (bereq.url ~ "^/[^?]*\.json$") {
		tinykvm.chain("fetch", "http://127.0.0.1:8080" + bereq.url);
		set bereq.backend = tinykvm.to_backend("json-minify");
	} elsif (bereq.url == "/headline") {
		# A part of a document, as text.
		tinykvm.chain("fetch", "http://127.0.0.1:8080/feed.xml");
		set bereq.backend = tinykvm.to_backend("xml", "", """{ "pick": "string(/rss/channel/item[1]/title)" }""");
	} else {
		set bereq.backend = server;
	}
}

sub vcl_backend_response {
	if (beresp.http.X-ErrorLine && bereq.is_bgfetch) {
		# Clients go on getting the old copy, until its grace is over.
		return (abandon);
	}
}

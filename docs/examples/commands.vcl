# Commands of Debian from a library: POST /cwebp, POST /jq, ...; POST /gm-thumbnail?size=100x100
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.library("file:///etc/varnish/commands.json");
	# One of them with a setting of your own.
	tinykvm.configure("gm-thumbnail", """{
		"main_arguments": ["convert", "-", "-auto-orient", "-thumbnail", "{query:size}>", "jpeg:-"]
	}""");
}

sub vcl_recv {
	if (req.method != "POST") {
		return (synth(405));
	}
	return (pass);
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend(regsub(bereq.url, "^/([a-z-]+).*", "\1"));
}

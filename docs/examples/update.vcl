# Replacing programs while requests go on.
vcl 4.1;

import tinykvm;

backend none none;

acl admins {
	"127.0.0.1";
	"::1";
}

sub vcl_init {
	tinykvm.configure("hello", """{
		"filename": "/srv/programs/hello",
		"key": "correct horse battery staple"
	}""");
}

sub vcl_recv {
	if (req.url ~ "^/(update|reload)$" && client.ip !~ admins) {
		return (synth(403));
	}
	if (req.url == "/update") {
		return (pass);
	}
	if (req.url == "/reload") {
		if (tinykvm.invalidate_programs("^hello$") > 0) {
			return (synth(200, "Unloaded"));
		}
		return (synth(404, "Not loaded"));
	}
}

sub vcl_backend_fetch {
	if (bereq.url == "/update") {
		set bereq.backend = tinykvm.live_update("hello", bereq.http.X-Key);
	} else {
		set bereq.backend = tinykvm.to_backend("hello");
	}
}

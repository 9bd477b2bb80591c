# What requests have in common: a counter, and a list of the URLs that were asked for, which outlive them, a reload of the
# VCL, and the programs when these are replaced by newer ones.
vcl 4.1;

import tinykvm;

backend default {
	.host = "127.0.0.1";
	.port = "8080";
}

acl admins {
	"127.0.0.1";
	"::1";
}

sub vcl_init {
	tinykvm.library("file:///usr/lib/tinykvm/storage.json");
}

sub vcl_recv {
	if (req.url ~ "^/(count|report|deploy)$" && client.ip !~ admins) {
		return (synth(403));
	}
	if (req.url == "/deploy") {
		# Each program hands over what it knows to the one that its file is now.
		return (synth(200, "Replaced: " + tinykvm.invalidate_programs("^(counter|visits)$")));
	}
	if (req.url == "/count" || req.url == "/report") {
		return (pass);
	}
	# Every URL is collected; nobody waits for that.
	set req.http.X-Collected = tinykvm.to_string("visits", req.url);
	unset req.http.X-Collected;
}

sub vcl_backend_fetch {
	if (bereq.url == "/count") {
		set bereq.backend = tinykvm.to_backend("counter");
	} elsif (bereq.url == "/report") {
		set bereq.backend = tinykvm.to_backend("visits", bereq.url, "report");
	}
}

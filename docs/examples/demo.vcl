# The page that ./demo serves, and the programs it shows: each of them is one line below. Varnish is started with
#     -p workspace_client=256k
# because what stats() says of so many programs is long.
vcl 4.1;

import std;
import tinykvm;

backend none none;

sub vcl_init {
	# Programs of libraries, which start when they are first used, and settings of our own for one of them.
	tinykvm.library("file:///etc/varnish/compression.json");
	tinykvm.library("file:///etc/varnish/documents.json");
	tinykvm.library("file:///etc/varnish/images.json");
	tinykvm.library("file:///etc/varnish/minify.json");
	tinykvm.library("file:///etc/varnish/ocr.json");
	tinykvm.library("file:///etc/varnish/speech.json");
	tinykvm.library("file:///etc/varnish/storage.json");
	tinykvm.configure("watermark", """{
		"main_arguments": ["{\"watermark\": {\"file\": \"/srv/demo/mark.png\", \"scale\": 0.25, \"opacity\": 0.8}}"],
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/srv/demo/mark.png"]
	}""");

	# What visitors keep for each other.
	tinykvm.configure("kv", """{ "main_arguments": ["{\"ttl\": 60, \"max_value\": 200}"] }""");

	# The page. Its files are read before the program is frozen.
	tinykvm.configure("files", """{
		"filename": "/usr/lib/tinykvm/files",
		"main_arguments": ["{\"folder\": \"/srv/demo/page\", \"max_age\": 60}"],
		"allowed_paths": ["/srv/demo/page"],
		"start": true
	}""");

	tinykvm.configure("hello", """{ "filename": "/usr/lib/tinykvm/hello", "start": true }""");
	tinykvm.configure("to_string", """{ "filename": "/usr/lib/tinykvm/to_string" }""");
	tinykvm.configure("misbehave", """{
		"filename": "/usr/lib/tinykvm/misbehave",
		"max_request_time": 1,
		"max_request_memory": 32
	}""");

	# Whatever a visitor writes is run: an interpreter that has started, and waits for a script on its standard input.
	tinykvm.configure("python", """{
		"filename": "/usr/bin/python3",
		"main_arguments": ["-I", "/srv/demo/scripts/run.py"],
		"protocol": "stdio",
		"content_type": "text/plain; charset=utf-8",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/bin", "/srv/demo/scripts"],
		"max_request_time": 2
	}""");
	tinykvm.configure("node", """{
		"filename": "/usr/bin/node",
		"main_arguments": ["/srv/demo/scripts/run.js"],
		"protocol": "stdio",
		"content_type": "text/plain; charset=utf-8",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/share/nodejs", "/srv/demo/scripts"],
		"max_memory": 512,
		"max_request_time": 2,
		"max_request_memory": 128,
		"address_space": 32000
	}""");

	# A neural network that answers questions about a document: docs/answers.md.
	tinykvm.configure("answer", """{
		"filename": "/usr/bin/node",
		"main_arguments": ["/srv/answer/answer.js", "/srv/answer/document.txt"],
		"protocol": "http",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/share/nodejs", "/srv/answer"],
		"max_memory": 1024,
		"max_request_memory": 256,
		"address_space": 32000,
		"max_boot_time": 60,
		"warmup": { "url": "/?q=What+is+this", "num_requests": 5 }
	}""");
}

sub vcl_recv {
	# What the client says of itself is not for programs.
	unset req.http.Cookie;
	unset req.http.Authorization;

	if (req.method == "POST") {
		# An upload says its size before it is read.
		if (!req.http.Content-Length) {
			return (synth(411, "The request does not say how long its body is."));
		}
		if (std.integer(req.http.Content-Length, 1000000000) > 8388608) {
			return (synth(413, "An upload has at most 8 MiB."));
		}
		return (pass);
	}
	if (req.method != "GET" && req.method != "HEAD") {
		return (synth(405, "There are GET, HEAD and POST."));
	}

	if (req.url == "/stats") {
		return (synth(200));
	}
	if (req.url ~ "^/(hello$|note$|misbehave/)") {
		return (pass);
	}

	# One page, one object in the cache: query parameters in one order, without those of advertisers.
	set req.url = tinykvm.to_string("to_string", req.url, "utm_*,fbclid", req.url);

	if (req.url ~ "^/url(\?|$)") {
		return (synth(200));
	}
	return (hash);
}

sub vcl_backend_fetch {
	# A picture of the page's own, GET /webp/landscape.jpg: what one program answers is what the next is sent.
	if (bereq.method == "GET" && bereq.url ~ "^/(webp|avif|thumbnail|watermark)/") {
		tinykvm.chain("files", regsub(bereq.url, "^/[a-z]+/", "/pictures/"));
	}

	if (bereq.url ~ "^/webp(/|$)") {
		set bereq.backend = tinykvm.to_backend("webp");
	} elsif (bereq.url ~ "^/avif(/|$)") {
		set bereq.backend = tinykvm.to_backend("avif");
	} elsif (bereq.url ~ "^/thumbnail(/|$)") {
		set bereq.backend = tinykvm.to_backend("thumbnails", config="""{ "thumbnail": "square", "format": "webp" }""");
	} elsif (bereq.url ~ "^/watermark(/|$)") {
		tinykvm.chain("watermark");
		set bereq.backend = tinykvm.to_backend("webp");
	} elsif (bereq.url == "/minify") {
		# The body of the POST goes to the program, what the program makes of it is the response.
		set bereq.backend = tinykvm.to_backend("minify");
	} elsif (bereq.url == "/minify-web") {
		set bereq.backend = tinykvm.to_backend("minify-web");
	} elsif (bereq.url == "/xml") {
		set bereq.backend = tinykvm.to_backend("xml", config="""{ "error_status": 422 }""");
	} elsif (bereq.url == "/json") {
		set bereq.backend = tinykvm.to_backend("json", config="""{ "error_status": 422 }""");
	} elsif (bereq.url == "/gzip") {
		set bereq.backend = tinykvm.to_backend("gzip", config="""{ "output": "file" }""");
	} elsif (bereq.url == "/brotli") {
		set bereq.backend = tinykvm.to_backend("brotli", config="""{ "output": "file" }""");
	} elsif (bereq.url == "/zstd") {
		set bereq.backend = tinykvm.to_backend("zstd", config="""{ "output": "file" }""");
	} elsif (bereq.url ~ "^/speech/(de|en|es|fr)$") {
		set bereq.http.X-Voice = regsub(bereq.url, "^/speech/", "");
		set bereq.backend = tinykvm.to_backend("speech", config={"{ "voice": ""} + bereq.http.X-Voice + {"" }"});
	} elsif (bereq.url == "/read") {
		set bereq.backend = tinykvm.to_backend("ocr");
	} elsif (bereq.url == "/answer") {
		set bereq.backend = tinykvm.to_backend("answer", "/");
	} elsif (bereq.url == "/python") {
		set bereq.backend = tinykvm.to_backend("python");
	} elsif (bereq.url == "/node") {
		set bereq.backend = tinykvm.to_backend("node");
	} elsif (bereq.url ~ "^/misbehave/") {
		set bereq.backend = tinykvm.to_backend("misbehave", config=regsub(bereq.url, "^/misbehave/", ""));
	} elsif (bereq.url == "/note") {
		set bereq.backend = tinykvm.to_backend("kv");
	} elsif (bereq.url == "/hello") {
		set bereq.backend = tinykvm.to_backend("hello");
	} else {
		set bereq.backend = tinykvm.to_backend("files");
	}
}

sub vcl_backend_response {
	# Whatever its visitor called it.
	if (bereq.url == "/note") {
		set beresp.http.Content-Type = "text/plain; charset=utf-8";
	}
	if (beresp.http.Content-Type ~ "^text/|javascript|json|svg") {
		set beresp.do_gzip = true;
	}
	# How long a file may be cached is what `files` says. What is made of a picture stays longer in this cache than in the
	# clients' ones, which cannot be purged.
	if (bereq.method == "GET" && beresp.status == 200 && bereq.url ~ "^/(webp|avif|thumbnail|watermark)/") {
		set beresp.http.Cache-Control = "max-age=60";
		set beresp.ttl = 1h;
	}
	# What went wrong may go right soon.
	if (beresp.status >= 400 && beresp.ttl > 10s) {
		set beresp.ttl = 10s;
	}
}

sub vcl_deliver {
	# The page shows what visitors send; nothing of it may run in their browsers, or be fetched from elsewhere.
	set resp.http.Content-Security-Policy =
	    "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'";
	set resp.http.X-Content-Type-Options = "nosniff";
	set resp.http.Referrer-Policy = "no-referrer";
	# In milliseconds, from the end of the request's header to the beginning of the answer.
	set resp.http.Server-Timing = "varnish;dur=" + ((now - req.time) * 1000);
	if (obj.hits > 0) {
		set resp.http.Server-Timing = resp.http.Server-Timing + ", hit";
	}
}

sub vcl_synth {
	set resp.http.Cache-Control = "no-store";
	if (req.url == "/stats" && resp.status == 200) {
		set resp.http.Content-Type = "application/json";
		synthetic(tinykvm.stats());
	} elsif (req.url ~ "^/url" && resp.status == 200) {
		set resp.http.Content-Type = "text/plain";
		synthetic(req.url);
	} else {
		set resp.http.Content-Type = "text/plain";
		synthetic(resp.reason + {"
"});
	}
	return (deliver);
}

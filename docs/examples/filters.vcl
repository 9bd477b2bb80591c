# Commands of Debian as they are: jq and python3, as steps of processing.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	# Documents on one line.
	tinykvm.configure("jq", """{
		"filename": "/usr/bin/jq",
		"main_arguments": ["-c", "."],
		"protocol": "stdio",
		"content_type": "application/json",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib"]
	}""");
	# One member of a document: /member?name=title
	tinykvm.configure("member", """{
		"filename": "/usr/bin/jq",
		"main_arguments": ["--raw-output", "--arg", "name", "{query:name}", ".[$name]"],
		"protocol": "stdio",
		"content_type": "text/plain; charset=utf-8",
		"exit_statuses": {"2": 400, "4": 400, "5": 422},
		"allowed_paths": ["/lib64", "/lib", "/usr/lib"]
	}""");
	# A script, whose interpreter has started before the first request.
	tinykvm.configure("sorted", """{
		"filename": "/usr/bin/python3",
		"main_arguments": ["-c", "import sys, json; json.dump(sorted(json.load(sys.stdin)), sys.stdout)"],
		"protocol": "stdio",
		"content_type": "application/json",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/bin"]
	}""");
	# Any other command: what it takes apart is compressed by the next.
	tinykvm.configure("gzip", """{
		"filename": "/bin/gzip",
		"main_arguments": ["-9", "--no-name"],
		"protocol": "stdio",
		"content_type": "application/gzip",
		"allowed_paths": ["/lib64", "/lib", "/usr/lib"]
	}""");
}

sub vcl_recv {
	return (pass);
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/member") {
		set bereq.backend = tinykvm.to_backend("member");
		return (fetch);
	}
	if (bereq.url == "/sorted") {
		set bereq.backend = tinykvm.to_backend("sorted");
		return (fetch);
	}
	if (bereq.url == "/packed") {
		tinykvm.chain("jq");
		set bereq.backend = tinykvm.to_backend("gzip");
		return (fetch);
	}
	set bereq.backend = tinykvm.to_backend("jq");
}

# Programs of CGI as they are: a script of PHP's and one of the shell's.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("php", """{
		"filename": "/usr/bin/php-cgi8.2",
		"main_arguments": ["/srv/form.php"],
		"protocol": "stdio",
		"cgi": true,
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/usr/share/php", "/etc/php", "/srv"]
	}""");
	tinykvm.configure("shell", """{
		"filename": "/bin/dash",
		"main_arguments": ["/srv/hello.sh"],
		"protocol": "stdio",
		"cgi": true,
		"environment": ["SCRIPT_NAME=/hello"],
		"allowed_paths": ["/lib64", "/lib", "/usr/lib", "/srv"]
	}""");
}

sub vcl_recv {
	return (pass);
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/hello(/|$)") {
		set bereq.backend = tinykvm.to_backend("shell");
		return (fetch);
	}
	set bereq.backend = tinykvm.to_backend("php");
}

<?php
header("Content-Type: text/plain; charset=utf-8");
if (!isset($_POST["name"])) {
    http_response_code(422);
    exit("a name is missing\n");
}
echo "Hello ", $_POST["name"], ", from ", $_SERVER["PATH_INFO"], "\n";

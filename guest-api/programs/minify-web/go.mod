module tinykvm/minify-web

go 1.19

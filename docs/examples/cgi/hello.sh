#!/bin/sh
echo "Content-Type: text/plain"
echo
echo "Hello $PATH_INFO, from $SCRIPT_NAME"

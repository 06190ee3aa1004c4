#!/bin/sh
# An age plugin for tests: its stanza holds the file key as it is. Source: https://c2sp.org/age-plugin
echo "$1" >>'@LOG@'
body= take=
while IFS= read -r line; do
    if [ -n "$take" ]; then
        body=$line take=
        continue
    fi
    case $line in
    '-> wrap-file-key' | '-> recipient-stanza '*' fake') take=yes ;;
    '-> done'*) IFS= read -r line; break ;;
    esac
done
case $1 in
--age-plugin=recipient-v1) printf -- '-> recipient-stanza 0 fake\n%s\n' "$body" ;;
--age-plugin=identity-v1) [ -z "$body" ] || printf -- '-> file-key 0\n%s\n' "$body" ;;
*) exit 1 ;;
esac
if [ "$1" = --age-plugin=recipient-v1 ] || [ -n "$body" ]; then
    IFS= read -r line
    IFS= read -r line
fi
printf -- '-> done\n\n'

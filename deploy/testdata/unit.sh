# Runs where systemd has started baro.service, and says what it sees: unit_linux_test.go.
token=$(baro token mint --key-file /etc/baro/token.secret --user kim --subscribe news --publish news --history news --expires 1h)
header="Authorization: Bearer $token"
publish() { curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}\n' --request POST --header "$header" --data "$1" http://localhost:8000/c/news; }
property() { systemctl show --value --property "$2" "$1"; }
main() { property baro MainPID; }

# until COMMAND: it comes true within half a minute.
until_true() {
	for _ in $(seq 300); do
		"$@" && return
		sleep 0.1
	done
	echo "never: $*"
}
another() { [ "$(main)" != "$1" ] && [ "$(main)" != 0 ] && [ "$(property baro ActiveState)" = active ]; }

echo "active $(property baro ActiveState) $(property baro StatusText)"
echo "user $(ps -o uid= -p "$(main)" | xargs) $(stat --dereference --format %U /var/lib/baro)"
echo "new privileges $(grep NoNewPrivs "/proc/$(main)/status" | xargs)"
systemctl reload baro && echo "reloaded"

# Nobody is refused by a server that is started again, or was killed: systemd holds the socket.
for i in $(seq 60); do
	publish "message-$i"
	sleep 0.05
done >/tmp/codes &
publisher=$!
before=$(main)
systemctl restart baro
until_true another "$before"
before=$(main)
systemctl kill --signal KILL --kill-whom main baro
until_true another "$before"
wait $publisher
echo "codes $(sort /tmp/codes | uniq --count | xargs)"
echo "kept $(curl --silent --max-time 2 --header "$header" --header 'Accept: application/x-ndjson' 'http://localhost:8000/c/news?after=0' |
	grep --only-matching 'message-[0-9]*' | sort --unique | wc --lines)"

# A server that stands still is started again.
before=$(main)
kill -STOP "$before"
until_true another "$before"
echo "watchdog $(property baro NRestarts)"
echo "after it $(publish again)"

systemctl stop baro.socket baro.service
echo "stopped $(property baro Result) $(property baro ExecMainStatus)"
systemctl start baro.socket
echo "by its socket $(property baro ActiveState) $(publish first) $(property baro ActiveState)"

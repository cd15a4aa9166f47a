#!/bin/sh
# Kills the test's API server where it runs, starts it, and waits until it serves. Its folder, the folder of the programs
# and the two ports come in LAB_FOLDER, LAB_PROGRAMS, LAB_ETCD_PORT and LAB_PORT.
set -u
cd "$LAB_FOLDER" || exit 1
if [ -f apiserver.pid ]; then
  pid=$(cat apiserver.pid)
  kill -9 "$pid"
  # Its port is taken until it is gone.
  while grep -q '^State:[[:space:]]*[^ZX]' "/proc/$pid/status" 2>/dev/null; do sleep 0.05; done
fi
setsid "$LAB_PROGRAMS/kube-apiserver" \
  --etcd-servers="http://127.0.0.1:$LAB_ETCD_PORT" \
  --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$LAB_PORT" --insecure-port=0 \
  --cert-dir=certificates --token-auth-file=tokens.csv --authorization-mode=RBAC \
  --service-cluster-ip-range=10.254.0.0/24 --service-account-issuer=https://lab.local \
  --service-account-key-file=accounts.pem --service-account-signing-key-file=accounts.key \
  --allow-privileged=false --endpoint-reconciler-type=none >>apiserver.log 2>&1 </dev/null &
echo $! >apiserver.pid
for _ in $(seq 600); do
  if [ "$(curl --insecure --silent --max-time 5 "https://127.0.0.1:$LAB_PORT/readyz" -H 'Authorization: Bearer lab')" = ok ]; then
    exit 0
  fi
  sleep 0.2
done
echo "the API server does not serve; see $LAB_FOLDER/apiserver.log" >&2
exit 1

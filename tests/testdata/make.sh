# Makes the certificates of this folder anew: faketime 2020-01-01 sh make.sh

new="openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
sign="openssl x509 -req -days 36500"
for ca in ca other; do
  $new -x509 -days 36500 -subj "/CN=halfclose test authority" \
    -addext keyUsage=critical,keyCertSign -keyout $ca.key -out $ca.pem
done
for file in localhost forged; do
  $new -subj /CN=localhost -keyout $file.key -out $file.csr
done
printf '%s\n' basicConstraints=critical,CA:FALSE \
  keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth \
  subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 \
  subjectKeyIdentifier=hash authorityKeyIdentifier=keyid |
  $sign -in localhost.csr -CA ca.pem -CAkey ca.key -extfile /dev/stdin \
    -out localhost.pem
$sign -in forged.csr -CA other.pem -CAkey other.key -out forged.pem
rm ca.key other.* *.csr

import { connect } from "node:net";
import process from "node:process";
import { buffer } from "node:stream/consumers";

const [host, port] = process.argv.slice(2);
const request = await buffer(process.stdin);
const socket = connect(port, host);
socket.end(request);
socket.pipe(process.stdout);

// Sends files with dcmjs-dimse: node send.js FOLDER_OF_NODE_MODULES PORT CALLED CALLING FILE...; prints `status 0` for each.
const [modules, port, called, calling, ...files] = process.argv.slice(2);
const { Client, requests } = require(modules + '/dcmjs-dimse');

const client = new Client();
for (const file of files) {
  const request = new requests.CStoreRequest(file);
  request.on('response', (response) => console.log('status', response.getStatus()));
  client.addRequest(request);
}
client.on('networkError', (error) => console.log('network error', error));
client.send('127.0.0.1', Number(port), calling, called);

"use strict";
// Files inside scripts: a page that is opened as a file may read nothing else.

/** What the network and its samples are; set by description.js. */
let description = null;

/** Texts of files that were loaded and not yet unpacked, by name. */
const packed = new Map();

/** Called by description.js. */
function describe(content) {
    description = content;
}

/** Called by each file's script: its bytes, gzipped, in base64. */
function embed(name, text) {
    packed.set(name, text);
}

/** The bytes of an embedded file. */
async function unpack(name) {
    await loadScript(`${name}.js`);
    const compressed = decodeBase64(packed.get(name));
    packed.delete(name);
    const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Bytes from base64. */
function decodeBase64(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
}

function loadScript(path) {
    return new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = path;
        script.onload = () => { script.remove(); resolve(); };
        script.onerror = () => reject(new Error(`${path} cannot be loaded`));
        document.head.append(script);
    });
}

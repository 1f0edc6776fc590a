"use strict";
// The network: the artifact in one go, its parts timestep by timestep, and the ANN.

const ELEMENTS = {
    float32: Float32Array, float64: Float64Array, float16: Uint16Array, bool: Uint8Array,
    int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
    int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array,
};

/** A tensor of a NumPy type from its bytes. */
function makeTensor(type, bytes, dims) {
    const Elements = ELEMENTS[type];
    const whole = bytes.slice();  // an array of its own begins at a multiple of any element's size
    return new ort.Tensor(type, new Elements(whole.buffer), dims);
}

/** The first of `count` equal parts of a tensor, as plain numbers. */
function firstPart(tensor, count) {
    const data = tensor.data.subarray(0, tensor.data.length / count);
    if (tensor.type === "float16" && data instanceof Uint16Array) return Array.from(data, fromHalf);
    return Array.from(data, Number);
}

/** A number from the bits of a float16. */
function fromHalf(bits) {
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    const sign = bits >> 15 ? -1 : 1;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24);
}

/**
 * The spikes of a layer-scheduled neuron in one timestep.
 *
 * @param {number} count its spikes k in the whole run
 * @param {number} time the timestep, from 1
 */
function spikesAt(count, time, layer, timesteps) {
    const [size, sign] = [Math.abs(count), Math.sign(count)];
    if (layer.code === "radix") return sign * ((size >> (timesteps - time)) & 1);
    return sign * Math.min(Math.max(size - (time - 1) * layer.most, 0), layer.most);
}

class Network {
    /** Load all models; `progress` is told what is being loaded. */
    static async load(description, progress) {
        progress("onnxruntime-web");
        ort.env.logLevel = "error";
        ort.env.wasm.numThreads = 1;
        ort.env.wasm.wasmBinary = await unpack("onnxruntime-web/wasm");
        const loader = new Blob([await unpack("onnxruntime-web/loader")], {type: "text/javascript"});
        ort.env.wasm.wasmPaths = {mjs: URL.createObjectURL(loader)};
        const names = ["artifact", ...description.parts, ...(description.reference ? ["ann"] : [])];
        const sessions = {};
        for (const name of names) {
            progress(name === "ann" ? description.reference.name : description.name);
            const options = {executionProviders: ["wasm"], logSeverityLevel: 3};
            sessions[name] = await ort.InferenceSession.create(await unpack(`models/${name}`), options);
        }
        return new Network(description, sessions);
    }

    constructor(description, sessions) {
        this.description = description;
        this.sessions = sessions;
        this.batch = description.batch;
        this.layered = description.schedule === "layer";
    }

    /** The inputs of one sample, from the bytes of each; a fixed batch is filled with copies of it. */
    feeds(bytes) {
        return Object.fromEntries(this.description.inputs.map((input, i) => {
            const all = new Uint8Array(bytes[i].length * this.batch);
            for (let copy = 0; copy < this.batch; copy++) all.set(bytes[i], copy * bytes[i].length);
            return [input.name, makeTensor(input.type, all, [this.batch, ...input.dims])];
        }));
    }

    /** Run the artifact's file: its scores and the timesteps that it took. */
    async whole(feeds) {
        const {output, exit, timesteps} = this.description;
        const results = await this.sessions.artifact.run(feeds);
        const used = exit ? Number(results[exit.output].data[0]) : timesteps;
        return {scores: this.scores(results[output]), used};
    }

    /** The ANN's scores. */
    async reference(feeds) {
        const {inputs, output} = this.description.reference;
        const own = Object.entries(inputs).map(([mine, theirs]) => [mine, feeds[theirs]]);
        return this.scores((await this.sessions.ann.run(Object.fromEntries(own)))[output]);
    }

    /** Go back before the first timestep of a sample. */
    async start(feeds) {
        const {prefix} = this.sessions;
        this.bridge = {...feeds, ...(prefix ? await prefix.run(only(prefix, feeds)) : {})};
        this.state = Object.fromEntries(this.description.carried.map(({before, initial}) =>
            [before, makeTensor(initial.type, decodeBase64(initial.data), initial.dims)]));
        this.time = 0;
        this.counts = null;
    }

    /**
     * One timestep.
     *
     * @returns the scores so far (in the schedule `layer` none before the last timestep), each layer's
     *     spikes in this timestep, and milliseconds
     */
    async step() {
        const {timesteps} = this.description;
        const begin = performance.now();
        this.time += 1;
        if (!this.layered || this.time === 1) await this.advance();
        const known = !this.layered || this.time === timesteps;
        const scores = known ? await this.readOut() : null;
        const milliseconds = performance.now() - begin;
        if (!this.layered) return {scores, spikes: this.counts, milliseconds};
        if (this.time === 1) this.share = milliseconds / timesteps;  // all timesteps were computed at once
        const spikes = this.counts.map((counts, i) => {
            const layer = this.description.layers[i];
            if (!layer.sizes) return counts.map((count) => spikesAt(count, this.time, layer, timesteps));
            const neurons = counts.length / timesteps;  // graded spikes come timestep by timestep
            return counts.slice((this.time - 1) * neurons, this.time * neurons);
        });
        return {scores, spikes, milliseconds: this.share};
    }

    async advance() {
        const {step} = this.sessions;
        const results = await step.run(only(step, {...this.bridge, ...this.state}));
        for (const {before, after} of this.description.carried) this.state[before] = results[after];
        this.counts = this.description.layers.map(({spikes}) => firstPart(results[spikes], this.batch));
    }

    async readOut() {
        const {head} = this.sessions;
        const {carried, elapsed, output} = this.description;
        const known = {...this.bridge};
        for (const {before, final} of carried) known[final] = this.state[before];
        known[elapsed] = new ort.Tensor("int64", [BigInt(this.time)], []);
        return this.scores((await head.run(only(head, known)))[output]);
    }

    scores(tensor) {
        return firstPart(tensor, this.batch);
    }
}

/** The tensors that a session reads. */
function only(session, tensors) {
    return Object.fromEntries(session.inputNames.map((name) => [name, tensors[name]]));
}

"use strict";
// The page: what the user chooses, and the run that follows from it.

const element = (id) => document.getElementById(id);
/** The most timesteps whose winners have a column each, below the course of the scores. */
const MOST_COLUMNS = 16;
/** Whoever does not want motion starts the runs. */
const still = matchMedia("(prefers-reduced-motion: reduce)");
/** What runs the network, once it is loaded. */
let player = null;

/** A run of the network on one input, from the first timestep to the last. */
class Player {
    constructor(network, scores, course, raster) {
        this.network = network;
        this.scores = scores;
        this.course = course;
        this.raster = raster;
        this.timesteps = network.description.timesteps;
        /** The network does one thing at a time: each waits for the one before. */
        this.last = Promise.resolve();
        this.running = false;
        this.failed = false;
        /** Number of the input: what belongs to an earlier one is dropped. */
        this.turn = 0;
    }

    /** Choose an input: the bytes of each of the network's inputs, and the sample's class; gives its turn. */
    async choose(bytes, label) {
        const turn = ++this.turn;
        this.running = false;
        await this.queue(async () => {
            if (turn !== this.turn) return;
            const feeds = this.network.feeds(bytes);
            this.label = label;
            this.feeds = feeds;
            this.whole = await this.network.whole(feeds);
            this.ann = this.network.description.reference ? await this.network.reference(feeds) : null;
            await this.begin();
        });
        return turn;
    }

    /** Go back before the first timestep. */
    restart() {
        const turn = ++this.turn;
        this.running = false;
        return this.queue(() => (turn === this.turn ? this.begin() : null));
    }

    async begin() {
        await this.network.start(this.feeds);
        this.history = [];
        this.milliseconds = [];
        this.raster.clear();
        this.show();
    }

    /** Step until the end, or until the file itself stops. */
    async run() {
        const turn = this.turn;
        this.running = true;
        this.show();
        while (this.running && turn === this.turn && !this.finished && !this.failed) {
            await this.step();
            if (this.time === this.whole.used) break;
            await new Promise((resolve) => setTimeout(resolve, 1000 / element("speed").valueAsNumber));
        }
        if (turn === this.turn) this.pause();
    }

    pause() {
        this.running = false;
        this.show();
    }

    /** One timestep. */
    step() {
        const turn = this.turn;
        return this.queue(async () => {
            if (turn !== this.turn || this.finished) return;
            const {scores, spikes, milliseconds} = await this.network.step();
            if (turn !== this.turn) return;
            this.history.push(scores);
            this.milliseconds.push(milliseconds);
            this.raster.add(spikes);
            this.show();
        });
    }

    get time() {
        return this.history.length;
    }

    get finished() {
        return this.time === this.timesteps;
    }

    queue(task) {
        this.last = this.last.then(task).catch((error) => {
            this.failed = true;
            fail(error);
        });
        return this.last;
    }

    show() {
        if (this.failed) return;
        const {scores, label, ann, whole, time} = this;
        const current = this.history.at(-1) ?? null;
        const named = (values) => (values && scores.classes ? scores.name(winnerOf(values)) : "–");
        element("figure-time").textContent = `${time} of ${this.timesteps}`;
        element("figure-winner").textContent = named(current);
        element("figure-ann").textContent = named(ann);
        element("figure-label").textContent = label === null ? "–" : scores.name(label);
        element("figure-spikes").textContent = this.raster.total.toLocaleString("en");
        element("figure-ms").textContent = time ? median(this.milliseconds).toFixed(1) : "–";
        scores.show(current, ann, whole.scores, label);
        if (scores.classes) {
            scores.showWinners(this.history, this.timesteps, label);
            this.course.show(this.history.filter(Boolean));
        }
        element("whole").textContent = this.describeWhole();
        element("run").textContent = this.running ? "Pause" : time && !this.finished ? "Go on" : "Run";
        element("step").disabled = this.finished;
        element("status").ariaBusy = this.running;  // read out in the end, not at every timestep
        element("status").textContent = this.describeState(named(current));
        const state = this.running ? "running" : this.finished ? "done" : "paused";
        Object.assign(document.documentElement.dataset, {state, timestep: time});
    }

    /** What the file gives in one go, and whether stepping its parts gives the same. */
    describeWhole() {
        const {whole, scores, timesteps} = this;
        const answer = scores.classes ? ` says ${scores.name(winnerOf(whole.scores))}` : " has run";
        const early = whole.used < timesteps
            ? ` after ${whole.used} of ${timesteps} timesteps, by its early exit`
            : ` after all ${timesteps} timesteps`;
        const stepped = this.history[whole.used - 1];
        const begin = `The whole file, in one go,${answer}${early}.`;
        if (!stepped) return begin;
        const difference = Math.max(...stepped.map((score, i) => Math.abs(score - whole.scores[i])));
        const same = difference === 0 ? "are the same" : `differ by ${difference.toExponential(0)} at most`;
        return `${begin} Its scores and those of timestep ${whole.used} ${same}.`;
    }

    describeState(winner) {
        const {time, whole, timesteps} = this;
        if (time === 0) return "Ready.";
        const so = `Timestep ${time} of ${timesteps}`;
        if (!this.history.at(-1)) return `${so}. Scores come with the last one.`;
        const leads = this.scores.classes ? `${so}: ${winner} ${this.finished ? "wins" : "leads"}.` : `${so}.`;
        return time === whole.used && !this.finished ? `${leads} Decided: the file stops here.` : leads;
    }
}

function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Say on the page what went wrong. */
function fail(error) {
    const remedy = location.protocol === "file:"
        ? " If this browser cannot run a page opened as a file, serve its folder: python3 -m http.server"
        : "";
    element("status").textContent = `This page cannot run: ${error.message.replace(/\.$/, "")}.${remedy}`;
    document.documentElement.dataset.state = "failed";
    console.error(error);
}

/** The samples' radio buttons, with pictures where the input has one. */
function listSamples(samples, chosen) {
    const {image, labels, classes, names} = description;
    const called = (label) => names[label] ?? classes?.[label] ?? label;
    samples.forEach((bytes, number) => {
        const label = document.createElement("label");
        const radio = document.createElement("input");
        Object.assign(radio, {type: "radio", name: "sample", value: number, checked: number === 0});
        radio.addEventListener("change", () => chosen(number));
        label.append(radio);
        if (image) {
            const canvas = document.createElement("canvas");
            paint(canvas, image, sampleValues(bytes));
            canvas.role = "img";
            canvas.ariaLabel = `sample ${number}`;
            label.append(canvas);
        }
        const text = labels ? called(labels[number]) : number;
        const caption = document.createElement("span");
        caption.append(image || !labels ? text : `${number}: ${text}`);
        label.append(caption);
        element("samples").append(label);
    });
}

/** One sample's values of the only input. */
function sampleValues(bytes) {
    const {type, dims} = description.inputs[0];
    return firstPart(makeTensor(type, bytes[0], dims), 1);
}

/** The bytes of every sample: for each the bytes of each input. */
async function loadSamples() {
    const files = await Promise.all(description.inputs.map((_, i) => unpack(`samples/${i}`)));
    return Array.from({length: description.samples}, (_, number) => files.map((file) => {
        const size = file.length / description.samples;
        return file.slice(number * size, (number + 1) * size);
    }));
}

function describePage() {
    const {name, timesteps, schedule, layers, reference, source, image, runtime} = description;
    const neurons = layers.reduce((sum, layer) => sum + layer.neurons, 0).toLocaleString("en");
    const operators = [...new Set(layers.map((layer) => layer.operator))].join(", ");
    const compared = reference ? ` Beside it the ANN, ${reference.name}.` : "";
    const note = schedule === "layer"
        ? " In this schedule a layer fires once it has all of its input: scores come with the last timestep."
        : "";
    const sizes = Math.max(0, ...layers.map((layer) => layer.sizes));
    if (sizes) element("legend-snn").textContent = "SNN so far";
    if (schedule === "layer") element("legend-snn").textContent = "SNN";
    element("course").hidden = schedule === "layer";
    element("winners").classList.toggle("columns", timesteps <= MOST_COLUMNS);
    document.title = `${name} · onnx2snn`;
    element("title").textContent = name;
    element("summary").textContent = `A spiking network, run here in the browser: ${neurons} neurons `
        + `(${operators || "none"}) in ${layers.length} layers, ${timesteps} timesteps, schedule ${schedule}.`
        + compared + note;
    element("footer").textContent = `Written by onnx2snn web. Runs in onnxruntime-web ${runtime} (MIT licence), `
        + "on this machine only.";
    element("input-note").textContent = `Samples of ${source}.`
        + (image?.drawing ? " What is drawn is moved and scaled as the samples are." : "");
    const busiest = layers.some((layer) => layer.rows.length < layer.neurons);
    const radix = layers.some((layer) => layer.code === "radix");
    element("raster-note").textContent = `A row is a neuron${busiest ? ", the busiest on the samples first" : ""}.`
        + (radix ? " A spike is worth twice as much as one in the timestep after it (code radix)." : "")
        + (sizes ? ` A mark's length is the spike's size, one of ${sizes}: a step shorter, half as much.` : "");
    element("legend-negative").hidden = !sizes
        && !layers.some((layer) => /Signed|Leaky|Quantized/.test(layer.operator));
    const leaky = layers.some((layer) => layer.operator.startsWith("Leaky"));
    element("negative-name").textContent = leaky || sizes ? "negative spike" : "spike taken back";
    element("figure-ann-box").hidden = !reference;
    element("figure-label-box").hidden = !description.labels;
    element("raster-section").hidden = layers.length === 0;
    element("preview").hidden = !image;
    element("drawing-box").hidden = !image?.drawing;
    element("seen").hidden = !image;
}

async function main() {
    describePage();
    const network = await Network.load(description, (what) => {
        element("status").textContent = `Loading ${what}…`;
    });
    const samples = await loadSamples();
    element("content").hidden = false;
    const {image, labels} = description;
    const {timesteps, layers, classes, reference} = description;
    const scores = new Scores(classes, Boolean(reference));
    const course = new Course(element("course"), scores, timesteps);
    player = new Player(network, scores, course, new Raster(layers, timesteps));
    const preview = (values, text) => {
        if (!image) return;
        paint(element("preview"), image, values);
        element("preview").ariaLabel = `what the network reads: ${text}`;
    };
    const begin = async (bytes, label) => {
        const turn = await player.choose(bytes, label);
        if (!still.matches && turn === player.turn) await player.run();
    };
    const choose = async (number) => {
        preview(sampleValues(samples[number]), `sample ${number}`);
        await begin(samples[number], labels ? labels[number] : null);
    };
    const draw = async (values) => {
        if (values === null) return;
        for (const radio of document.querySelectorAll("#samples input")) radio.checked = false;
        preview(values, "the drawing");
        await begin([new Uint8Array(values.buffer)], null);
    };
    listSamples(samples, choose);
    const drawing = image?.drawing ? new Drawing(element("drawing"), image, draw) : null;
    element("clear").addEventListener("click", () => drawing.clear());
    element("run").addEventListener("click", async () => {
        if (player.running) return player.pause();
        if (player.finished) await player.restart();
        return player.run();
    });
    element("step").addEventListener("click", () => { player.pause(); player.step(); });
    element("restart").addEventListener("click", () => player.restart());
    const speed = () => { element("speed-value").textContent = `${element("speed").value} timesteps a second`; };
    element("speed").addEventListener("input", speed);
    speed();
    await choose(0);
}

main().catch(fail);

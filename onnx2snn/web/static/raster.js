"use strict";
// The raster: a band for each layer, a row for each of its busiest neurons, a column for each timestep.

/** Height of a row in CSS pixels. */
const ROW = 5;
/** The most CSS pixels of a spike's place. */
const WIDEST = 12;

class Raster {
    constructor(layers, timesteps) {
        this.timesteps = timesteps;
        this.bands = layers.map((layer) => new Band(layer, timesteps));
        document.querySelector("#layers").replaceChildren(...this.bands.map((band) => band.element));
        const axis = document.querySelector("#axis");
        const every = Math.ceil(timesteps / 16);
        axis.replaceChildren(...Array.from({length: timesteps}, (_, time) => {
            const mark = document.createElement("span");
            mark.append((time + 1) % every === 0 || (time === 0 && every > 2) ? time + 1 : "");
            return mark;
        }));
        whenLooksChange(document.querySelector("#layers"), () => this.draw());
    }

    /** All spikes sent so far, taken back ones counted as well. */
    get total() {
        return this.bands.reduce((sum, band) => sum + band.total, 0);
    }

    clear() {
        for (const band of this.bands) band.clear();
        this.draw();
    }

    /** Add a timestep: the spikes of every neuron of each layer. */
    add(spikes) {
        this.bands.forEach((band, i) => band.add(spikes[i]));
        this.draw();
    }

    draw() {
        const style = getComputedStyle(document.querySelector("#layers"));
        const colours = {
            spike: style.getPropertyValue("--spike"),
            negative: style.getPropertyValue("--negative"),
            grid: style.getPropertyValue("--grid"),
        };
        for (const band of this.bands) band.draw(colours);
    }
}

/** One layer of the raster. */
class Band {
    constructor(layer, timesteps) {
        this.layer = layer;
        this.timesteps = timesteps;
        this.element = document.createElement("div");
        this.element.className = "layer";
        this.caption = document.createElement("div");
        this.canvas = document.createElement("canvas");
        this.canvas.role = "img";
        this.canvas.style.height = `${layer.rows.length * ROW}px`;
        this.count = document.createElement("data");
        const name = document.createElement("strong");
        name.append(layer.name);
        const about = document.createElement("span");
        const [shown, all] = [layer.rows.length, layer.neurons];
        const neurons = shown < all ? `busiest ${shown} of ${all.toLocaleString("en")}` : `${all}`;
        about.append(this.count, ` · ${neurons} neurons`);
        this.caption.append(name, about);
        this.element.append(this.caption, this.canvas);
        this.clear();
    }

    clear() {
        /** For each timestep the spikes of the rows. */
        this.columns = [];
        this.total = 0;
        this.say();
    }

    add(spikes) {
        this.columns.push(this.layer.rows.map((neuron) => spikes[neuron]));
        const number = this.layer.sizes ? Math.sign : Number;  // a graded spike is one, of any size
        this.total += spikes.reduce((sum, count) => sum + Math.abs(number(count)), 0);
        this.say();
    }

    say() {
        this.count.value = this.total;
        this.count.textContent = `${this.total.toLocaleString("en")} spikes`;
        const time = this.columns.length;
        this.canvas.ariaLabel = `${this.layer.name}: ${this.total} spikes in ${time} timesteps`;
    }

    draw(colours) {
        const {timesteps} = this;
        const {context, width, height} = prepare(this.canvas);
        const step = width / timesteps;
        context.fillStyle = colours.grid;
        for (let time = 1; time < timesteps; time++) context.fillRect(Math.round(time * step) - 0.5, 0, 1, height);
        this.columns.forEach((column, time) => {
            column.forEach((count, row) => this.drawSpikes(context, colours, count, time * step, row * ROW, step));
        });
    }

    /**
     * A neuron's spikes in a timestep, one mark each side by side: full ones, or hollow ones below zero. A
     * graded spike is one mark, of n lengths.
     */
    drawSpikes(context, colours, count, x, y, step) {
        const {sizes} = this.layer;
        const most = sizes || this.layer.most;
        const widest = sizes ? 4 * WIDEST / sizes : WIDEST;
        const slot = Math.min((step - Math.min(4, step / 4)) / most, widest);
        const number = Math.abs(count);
        // Where single spikes would be too thin to see, a mark as long as they are together.
        const single = slot >= 4 && !sizes;
        const marks = single ? number : Math.min(number, 1);
        const length = single ? slot - 2 : Math.max(number * slot, 1);
        const begin = x + (step - most * slot) / 2 + (single ? 1 : 0);
        for (let mark = 0; mark < marks; mark++) {
            const left = begin + mark * slot;
            if (count > 0) {
                context.fillStyle = colours.spike;
                context.fillRect(left, y + 0.5, length, ROW - 1);
            } else {
                context.strokeStyle = colours.negative;
                context.strokeRect(left + 0.5, y + 1, Math.max(length - 1, 1), ROW - 2);
            }
        }
    }
}

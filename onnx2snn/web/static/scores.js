"use strict";
// The table of scores with its bars, and the winner after each timestep.

/** The most classes that are shown: all where there are no more, else the highest. */
const MOST_CLASSES = 12;

/** The place of the greatest number, the first of equals. */
function winnerOf(scores) {
    return scores.reduce((best, score, i) => (score > scores[best] ? i : best), 0);
}

class Scores {
    /**
     * @param {string[] | null} classes names of the classes, null where the output has no class scores
     * @param {boolean} compared whether there is an ANN
     */
    constructor(classes, compared) {
        this.classes = classes;
        this.compared = compared;
        this.body = document.querySelector("#scores tbody");
        this.winners = document.querySelector("#winners");
        document.querySelector("#ann-column").hidden = !compared;
        document.querySelector("#legend-ann").hidden = !compared;
        document.querySelector("#winners-box").hidden = !classes;
        if (!classes) document.querySelector("#scores th").textContent = "Value";
    }

    /** What a class is called. */
    name(index) {
        return this.classes ? this.classes[index] : String(index);
    }

    /**
     * @param {number[] | null} snn scores so far, null where there are none yet
     * @param {number[] | null} ann the ANN's scores
     * @param {number[]} final the scores in the end
     * @param {number | null} label the sample's class
     */
    show(snn, ann, final, label) {
        const all = [snn ?? [], ann ?? [], final, [0]].flat();
        const [low, high] = extent(all.filter(Number.isFinite));
        const place = (value) => 100 * (value - low) / (high - low || 1);
        const winner = this.classes && snn ? winnerOf(snn) : null;
        const rows = this.chosen(snn ?? ann ?? final).map((index) => {
            const row = document.createElement("tr");
            row.classList.toggle("winner", index === winner);
            const head = document.createElement("th");
            head.scope = "row";
            head.title = this.name(index);
            head.append(this.name(index));
            if (index === label) head.append(tag("label"));
            const track = document.createElement("div");
            track.className = "track";
            if (snn) track.append(bar("snn", place(0), place(snn[index])));
            if (ann) track.append(bar("ann", place(0), place(ann[index])));
            track.append(tick(place(final[index]), final[index]));
            const cells = [cell(track), cell(number(snn?.[index]), snn?.[index])];
            if (this.compared) cells.push(cell(number(ann?.[index]), ann?.[index]));
            row.append(head, ...cells);
            return row;
        });
        this.body.replaceChildren(...rows);
    }

    /** The classes to show, in order. */
    chosen(scores) {
        const places = scores.map((_, index) => index);
        if (places.length <= MOST_CLASSES) return places;
        return places.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, MOST_CLASSES);
    }

    /**
     * @param {(number[] | null)[]} history scores after each timestep so far
     * @param {number} timesteps how many there will be
     * @param {number | null} label the sample's class
     */
    showWinners(history, timesteps, label) {
        const items = Array.from({length: timesteps}, (_, time) => {
            const item = document.createElement("li");
            const scores = history[time];
            if (!scores) {
                item.append("·");
                item.ariaLabel = `timestep ${time + 1}: none yet`;
                return item;
            }
            const winner = winnerOf(scores);
            item.append(this.name(winner));
            item.className = winner === label ? "right" : "known";
            item.title = `timestep ${time + 1}: ${this.name(winner)}`;
            return item;
        });
        this.winners.replaceChildren(...items);
    }
}

function bar(kind, from, to) {
    const element = document.createElement("div");
    element.className = `bar ${kind}`;
    element.style.left = `${Math.min(from, to)}%`;
    element.style.width = `${Math.abs(to - from)}%`;
    return element;
}

function tick(place, value) {
    const element = document.createElement("div");
    element.className = "tick";
    element.style.left = `${place}%`;
    element.title = `in the end ${number(value)}`;
    element.dataset.score = value;
    return element;
}

function cell(content, value) {
    const element = document.createElement("td");
    if (value !== undefined) {
        const data = document.createElement("data");
        data.value = value;
        data.append(content);
        element.append(data);
    } else {
        element.append(content);
    }
    return element;
}

function tag(text) {
    const element = document.createElement("span");
    element.className = "tag";
    element.append(text);
    return element;
}

function number(value) {
    if (value === undefined) return "";
    const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 0.01 || value === 0 ? 2 : 4;
    return value.toFixed(digits).replace("-", "−");
}

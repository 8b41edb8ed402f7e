// The strength of a password as it is typed, the switch that shows it, and a
// word where the two differ. strength.go has the same rules for the estimate.
(() => {
	"use strict";
	const byId = id => document.getElementById(id);
	const passphrase = byId("passphrase"), repeat = byId("repeat"), meter = byId("meter"), level = byId("strength");
	const words = JSON.parse(meter.dataset.words) || [], levels = JSON.parse(meter.dataset.levels);
	const common = COMMON;
	const leet = { 0: "o", 3: "e", 4: "a", 5: "s", 7: "t", "@": "a", $: "s", "!": "i", 1: "i" };
	const digit = c => c >= "0" && c <= "9";
	const sign = c => /^[!-/:-@[-`{-~]$/.test(c);
	const same = (a, b) => a.length === b.length && a.every((c, i) => c === b[i]);

	// fold goes character by character: some capitals would become two.
	const fold = text => text.map(c => {
		const lower = c.toLowerCase();
		return [...lower].length === 1 ? lower : c;
	});
	const variants = text => [text, text.map(c => leet[c] || c), text.map(c => c === "1" ? "l" : leet[c] || c)];
	const periodOf = text => {
		for (let p = 1; p <= text.length / 2; p++) {
			if (same(text.slice(p), text.slice(0, text.length - p))) return p;
		}
		return text.length;
	};

	const effective = text => {
		let folded = fold(text);
		folded = folded.slice(0, periodOf(folded));
		const n = folded.length, taken = new Array(n).fill(false);
		let count = 0;
		const take = (from, length) => {
			if (taken.slice(from, from + length).includes(true)) return;
			taken.fill(true, from, from + length);
			count++;
		};
		for (const list of [words, common]) {
			for (const variant of variants(folded)) {
				for (const word of list) {
					const w = [...word];
					for (let i = 0; i + w.length <= n; i++) {
						if (variant[i] === w[0] && same(variant.slice(i, i + w.length), w)) take(i, w.length);
					}
				}
			}
		}
		for (let i = 0; i + 4 <= n; i++) {
			const c = folded[i] + folded[i + 1];
			if ((c === "19" || c === "20") && digit(folded[i + 2]) && digit(folded[i + 3])) take(i, 4);
		}
		const code = i => folded[i].codePointAt(0);
		const kept = [];
		for (let i = 0; i < n; i++) {
			kept[i] = false;
			if (taken[i] || folded[i] === " ") continue;
			let run = false;
			if (i >= 2 && !taken[i - 1] && !taken[i - 2]) {
				const step = code(i) - code(i - 1);
				run = step === code(i - 1) - code(i - 2) && Math.abs(step) <= 1;
			}
			if (!run) {
				count++;
				kept[i] = true;
			}
		}
		return { count, kept };
	};

	const bitsEach = (text, kept) => {
		let start = /^\p{Lu}$/u.test(text[0]) ? 1 : 0, end = kept.length;
		while (end > start && (digit(text[end - 1]) || sign(text[end - 1]))) end--;
		if (end === start) [start, end] = [0, kept.length];
		const core = text.slice(start, end).filter((_, i) => kept[start + i]);
		const has = test => core.some(test);
		const wide = has(c => c > "\x7f"), digits = has(digit), signs = has(sign);
		const n = wide + digits + signs + has(c => c >= "a" && c <= "z") + has(c => c >= "A" && c <= "Z");
		if (n > 3) return 50;
		if (n === 3) return 45;
		if (n === 2 || wide || signs) return 40;
		return digits ? 33 : 30;
	};

	const strength = password => {
		const text = [...password].slice(0, 128);
		if (text.length < 8) return 0;
		const { count, kept } = effective(text);
		const estimate = count * bitsEach(text, kept);
		return [250, 360, 500, 700].filter(least => estimate >= least).length;
	};

	const complain = (input, text) => {
		const error = byId(input.id + "-error");
		error.textContent = text;
		error.hidden = !text;
		if (text) input.setAttribute("aria-invalid", "true");
		else input.removeAttribute("aria-invalid");
	};
	const difference = byId("repeat-error").dataset.differs;
	const differs = () => repeat.value !== "" && repeat.value !== passphrase.value;

	passphrase.addEventListener("input", () => {
		complain(passphrase, "");
		const score = passphrase.value ? strength(passphrase.value) : "";
		meter.dataset.score = score;
		const text = score === "" ? "" : levels[score];
		if (level.textContent !== text) level.textContent = text; // else it would be read aloud at each key
		if (!differs()) complain(repeat, "");
	});
	// At the key that parts the two. Later, on leaving the field, the page would
	// move away from under the pointer that is about to click on something else.
	repeat.addEventListener("input", () => complain(repeat, passphrase.value.startsWith(repeat.value) ? "" : difference));

	const reveal = byId("reveal");
	const show = shown => { passphrase.type = repeat.type = shown ? "text" : "password"; };
	reveal.addEventListener("change", () => show(reveal.checked));

	const form = byId("form"), submit = byId("submit");
	form.addEventListener("submit", event => {
		if (differs()) {
			event.preventDefault();
			complain(repeat, difference);
			repeat.focus();
			return;
		}
		show(false); // lest the browser keep it as a text that was typed
		submit.disabled = true;
	});
	addEventListener("pageshow", () => {
		submit.disabled = false;
		show(reveal.checked);
	});

	meter.hidden = byId("show").hidden = false;
})();

// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs async functions as TAP test cases, one after another, with a deadline for all of them.

import GLib from 'gi://GLib';
import System from 'system';

const DEADLINE_S = 90;

const cases = [];
const endings = [];
let cleanups = [];

export function test(name, func) {
    cases.push([name, func]);
}

// Is called when all cases have run.
export function atEnd(func) {
    endings.push(func);
}

// Is called when the case ends, last one first.
export function cleanup(func) {
    cleanups.unshift(func);
}

function show(value) {
    if (value instanceof Uint8Array)
        return `Uint8Array(${value.length}) [${value.slice(0, 16).join(' ')}]`;
    const isPlain = Array.isArray(value) || Object.getPrototypeOf(value ?? {}) === Object.prototype;
    if (typeof value === 'object' && !isPlain)
        return `${value}`;
    return JSON.stringify(value, (_, v) => v === undefined ? 'undefined' : v) ?? `${value}`;
}

function isSame(a, b) {
    if (a === b)
        return true;
    if (a instanceof Uint8Array && b instanceof Uint8Array)
        return a.length === b.length && a.every((byte, i) => byte === b[i]);
    return typeof a === 'object' && typeof b === 'object' && show(a) === show(b);
}

export function equal(got, wanted, what = '') {
    if (!isSame(got, wanted))
        throw new Error(`${what} got ${show(got).slice(0, 300)}, wanted ${show(wanted).slice(0, 300)}`.trim());
}

export function ok(condition, what) {
    if (!condition)
        throw new Error(what ?? 'not so');
}

// The error that a function throws, or that a promise is rejected with.
export async function raised(funcOrPromise) {
    try {
        await (typeof funcOrPromise === 'function' ? funcOrPromise() : funcOrPromise);
    } catch (error) {
        return error;
    }
    throw new Error('there was no error');
}

export async function raisedError(funcOrPromise, domain, code, text = '') {
    const error = await raised(funcOrPromise);
    if (!(error instanceof GLib.Error) || !error.matches(domain, code) || !error.message.includes(text))
        throw new Error(`wanted code ${code} with '${text}', got ${error.domain} ${error.code}: ${error.message}`);
    return error;
}

async function runCase(number, [name, func]) {
    const problems = [];
    for (const step of [func, () => cleanups.forEach(f => f())]) {
        try {
            await step();
        } catch (error) {
            problems.push(`${error.name}: ${error.message}`, ...`${error.stack ?? ''}`.split('\n'));
        }
    }
    cleanups = [];
    print(`${problems.length ? 'not ' : ''}ok ${number} ${name}`);
    for (const line of problems)
        print(`# ${line}`);
    return problems.length === 0;
}

async function runCases() {
    let isGood = true;
    print(`TAP version 13\n1..${cases.length}`);
    for (const [i, testCase] of cases.entries())
        isGood = await runCase(i + 1, testCase) && isGood;
    endings.forEach(func => func());
    return isGood;
}

export function run() {
    const loop = new GLib.MainLoop(null, false);
    let status = 1;
    GLib.timeout_add_seconds(GLib.PRIORITY_HIGH, DEADLINE_S, () => {
        print('Bail out! the deadline has passed');
        System.exit(1);
    });
    runCases().then(isGood => (status = isGood ? 0 : 1)).catch(logError).finally(() => loop.quit());
    loop.run();
    System.exit(status);
}

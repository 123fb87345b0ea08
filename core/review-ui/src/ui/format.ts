/** Write numbers, times, codes and errors for people. */
import type { ApiError } from "../api/error";

const NUMBER = new Intl.NumberFormat("en");

/** "low_score" -> "Low score". */
export function words(code: string): string {
  if (code === "default") return "To be seen anyway"; // no rule asked for a person, the project does
  if (code === "lot") return "To be checked"; // for the audit or because it may be wrong: which of them, nobody is to know
  const text = code.replace(/[_-]+/g, " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** 12345 -> "12,345". */
export function count(n: number): string {
  return NUMBER.format(n);
}

/** count(1, "label") -> "1 label", count(2, "label") -> "2 labels". */
export function plural(n: number, one: string, many = one + "s"): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Seconds for one thing: "0.08 s", "1.8 s", "12 s", "2 min 5 s". */
export function seconds(s: number): string {
  if (s < 1) return `${s.toFixed(2)} s`;
  if (s < 10) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  return whole < 120 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Seconds for much: "under a minute", "21 min", "3 h 5 min", "6 days". */
export function duration(s: number): string {
  const minutes = Math.round(s / 60);
  if (minutes < 1) return "under a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

/** 0.981 -> "98.1 %". */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Make a sentence: "it is so" -> "It is so." */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "";
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
}

/** What went wrong, and what to do. */
export function said(error: ApiError): string {
  return [error.message, error.hint].map(sentence).filter(Boolean).join(" ");
}

// How times and days are told, in the browser's language. Days of other years tell theirs.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const inYearOrNot = (how) =>
  [undefined, "numeric"].map((year) => new Intl.DateTimeFormat(undefined, { ...how, year }));
const longDay = inYearOrNot({ weekday: "long", day: "numeric", month: "long" });
const shortDay = inYearOrNot({ day: "numeric", month: "short" });

const tell = ([ofThisYear, ofAnother], timestamp) =>
  (new Date(timestamp).getFullYear() === new Date().getFullYear() ? ofThisYear : ofAnother).format(timestamp);

export const timeOf = (timestamp) => clock.format(timestamp);
export const dayOf = (timestamp) => tell(longDay, timestamp);

/** The time of what was said today, and the day of what was said before. */
export function timeOrDayOf(timestamp) {
  const isToday = new Date(timestamp).toDateString() === new Date().toDateString();
  return isToday ? timeOf(timestamp) : tell(shortDay, timestamp);
}

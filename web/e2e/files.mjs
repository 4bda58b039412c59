// Files as a logger writes them, and how they fall onto the page Import.

/** log is a logger's file of 200 rows; a word stands in one of its cells where oops says. */
export function log(power, oops) {
  const lines = ["Time (s),Engine RPM (rpm),Power (hp)"];
  for (let i = 0; i < 200; i++) lines.push(`${(i * 0.05).toFixed(2)},${2000 + i * 20},${i === oops ? "oops" : (i * power).toFixed(1)}`);
  return lines.join("\n") + "\n";
}

/** drop lets files fall onto the page. */
export async function drop(page, files) {
  const dataTransfer = await page.evaluateHandle((list) => {
    const t = new DataTransfer();
    for (const [name, text] of list) t.items.add(new File([text], name));
    return t;
  }, Object.entries(files));
  await page.locator(".drop").dispatchEvent("drop", { dataTransfer });
}

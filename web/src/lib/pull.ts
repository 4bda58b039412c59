// The pull in progress: power and torque over rpm while the engine speeds up
// under load.

/** Points that a curve holds: two minutes of 50 ms windows. */
const longest = 2400;
/** Power under which an engine does not pull, hp. */
const idle = 5;
/** How far the engine may slow down within a pull, rpm. */
const slack = 150;
/** As the throttle closes the engine still gains a little speed: so many points at most. */
const tail = 6;
/** What is left of the power on a point that belongs to the closing throttle. */
const closed = 0.9;

export class Pull {
  rpm: number[] = [];
  power: number[] = [];
  torque: (number | null)[] = [];
  running = false;
  /** Moves on with every change. */
  version = 0;

  /** take adds a moment; rising says whether the engine has gained speed of late. */
  take(rpm: number, power: number, torque: number | null, rising: () => boolean): void {
    const loaded = power > idle;
    if (this.running && (!loaded || rpm < this.top() - slack)) this.end();
    else if (!this.running && loaded && rising()) this.begin();
    if (!this.running || rpm <= this.top() || this.rpm.length >= longest) return;
    this.version++;
    this.rpm.push(rpm);
    this.power.push(power);
    this.torque.push(torque);
  }

  /** clear forgets the pull. */
  clear(): void {
    this.running = false;
    this.cut(0);
  }

  private top(): number {
    return this.rpm[this.rpm.length - 1] ?? 0;
  }

  private begin(): void {
    this.running = true;
    this.cut(0);
  }

  /** end takes away what was drawn while the throttle closed. */
  private end(): void {
    this.running = false;
    const from = Math.max(0, this.power.length - tail);
    const strongest = Math.max(...this.power.slice(from));
    let length = this.power.length;
    while (length > from && this.power[length - 1]! < closed * strongest) length--;
    this.cut(length);
  }

  private cut(length: number): void {
    this.version++;
    this.rpm.length = this.power.length = this.torque.length = length;
  }
}

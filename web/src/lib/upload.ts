// One file to the importer: the way there is the first half of its progress,
// reading it the second.

/** Imported is a run of the file, with the figures of its summary. */
export interface Imported {
  id: string;
  name: string;
  sample_count: number;
  peak_hp: number | null;
}

export interface Report {
  format: string;
  runs: Imported[];
  pulls: number;
  errors: { line?: number; column?: number; message: string }[] | null;
  error_count: number;
  warnings: string[] | null;
  already_imported: boolean;
}

interface Line {
  done?: number;
  size?: number;
  report?: Report;
  error?: string;
}

/** upload gives the report, or an error in words; progress goes from 0 to 1. */
export function upload(file: File, progress: (part: number) => void): Promise<Report> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let last: Line = {};
    let read = 0;
    const lines = () => {
      const end = request.responseText.lastIndexOf("\n") + 1;
      for (const text of request.responseText.slice(read, end).split("\n")) {
        if (text) last = JSON.parse(text) as Line;
      }
      read = Math.max(read, end);
      if (last.size) progress(0.5 + (0.5 * (last.done ?? 0)) / last.size);
    };
    request.upload.onprogress = (e) => e.lengthComputable && progress((0.5 * e.loaded) / e.total);
    request.onprogress = () => request.status === 200 && lines();
    request.onload = () => {
      if (request.status !== 200) return reject(new Error(detail(request)));
      lines();
      if (last.report) resolve(last.report);
      else reject(new Error(last.error ?? "The answer broke off: import the file again."));
    };
    request.onerror = () => reject(new Error("The connection broke off: see whether dynotap runs, and drop the file again."));
    request.open("POST", "/api/v1/runs?name=" + encodeURIComponent(file.name));
    request.setRequestHeader("Accept", "application/x-ndjson");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  });
}

function detail(request: XMLHttpRequest): string {
  try {
    return (JSON.parse(request.responseText) as { detail: string }).detail;
  } catch {
    return request.statusText;
  }
}

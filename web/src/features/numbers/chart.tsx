/**
 * A small chart over time: bars for counts, a line for times. One canvas, drawn by uPlot; the
 * cards of the page move their cursors together. Its values are also in the tables below it.
 */
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { SeriesPoint } from "@/lib/api";
import { useStore } from "@/lib/store";
import { theme } from "@/lib/theme";

export interface ChartSeries {
  label: string;
  /** Name of a CSS colour variable, such as `--chart-1`. */
  color: string;
  value: (point: SeriesPoint) => number | null;
  format: (value: number | null) => string;
}

interface ChartProps {
  points: SeriesPoint[];
  series: ChartSeries[];
  kind: "bars" | "line";
  formatAxis: (value: number) => string;
  label: string;
}

const HEIGHT = 156;
const SYNC = uPlot.sync("numbers");

export function Chart({ points, series, kind, formatAxis, label }: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const current_theme = useStore(theme);
  const latest = useRef(points);
  latest.current = points;

  // The chart is made anew for other colours; new points only move into it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read from the theme's CSS.
  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const made = new uPlot(
      options(element, { series, kind, formatAxis, onHover: setHovered }),
      toData(latest.current, series),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [series, kind, formatAxis, current_theme]);

  useEffect(() => {
    plot.current?.setData(toData(points, series));
  }, [points, series]);

  const point = hovered === null ? undefined : points[hovered];
  return (
    <figure className="relative m-0">
      <figcaption className="sr-only">{label}</figcaption>
      <div ref={frame} aria-hidden="true" style={{ height: HEIGHT }} />
      {point && (
        <p
          aria-hidden="true"
          className="pointer-events-none absolute -top-2 right-0 flex gap-3 rounded-md border bg-popover px-2 py-1 text-xs tabular-nums shadow-md"
        >
          <span className="text-muted-foreground">{axisTime(new Date(point.start))}</span>
          {series.map(({ label: name, color, value, format }) => (
            <span key={name} className="flex items-center gap-1.5">
              <span className="size-1.5 rounded-full" style={{ background: `var(${color})` }} />
              {name} {format(value(point))}
            </span>
          ))}
        </p>
      )}
    </figure>
  );
}

function toData(points: SeriesPoint[], series: ChartSeries[]): uPlot.AlignedData {
  return [
    points.map((point) => Date.parse(point.start) / 1000),
    ...series.map(({ value }) => points.map(value)),
  ];
}

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function axisTime(time: Date): string {
  const is_midnight = time.getHours() === 0 && time.getMinutes() === 0;
  return is_midnight ? DAY.format(time) : CLOCK.format(time);
}

function options(
  element: HTMLElement,
  {
    series,
    kind,
    formatAxis,
    onHover,
  }: Pick<ChartProps, "series" | "kind" | "formatAxis"> & {
    onHover: (index: number | null) => void;
  },
): uPlot.Options {
  const muted = css("--muted-foreground");
  const grid = css("--border");
  const font = `11px ${css("--font-sans") || "sans-serif"}`;
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 2, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: SYNC.key },
      drag: { x: false, y: false },
      y: false,
      points: { show: kind === "line" },
    },
    hooks: { setCursor: [(made) => onHover(made.cursor.idx ?? null)] },
    scales: {
      x: { time: true },
      y: { range: (_, __, max) => [0, (max || 1) * 1.1] },
    },
    axes: [
      {
        stroke: muted,
        font,
        size: 24,
        space: 56,
        grid: { show: false },
        ticks: { show: false },
        values: (_, splits) => splits.map((seconds) => axisTime(new Date(seconds * 1000))),
      },
      {
        stroke: muted,
        font,
        size: 52,
        space: 42,
        grid: { stroke: grid, width: 1 },
        ticks: { show: false },
        incrs:
          kind === "bars" ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5, 1e6] : undefined,
        values: (_, splits) => splits.map(formatAxis),
      },
    ],
    series: [
      {},
      ...series.map(({ label, color }): uPlot.Series => {
        const stroke = css(color);
        return kind === "bars"
          ? {
              label,
              fill: stroke,
              width: 0,
              points: { show: false },
              paths: uPlot.paths.bars?.({ size: [0.7, 14], radius: 0.25 }),
            }
          : {
              label,
              stroke,
              width: 1.75,
              fill: (made) => fade(made, stroke),
              spanGaps: false,
              points: { show: true, size: 4, fill: stroke, width: 0 },
            };
      }),
    ],
  };
}

function fade(made: uPlot, color: string): CanvasGradient | string {
  const { top, height } = made.bbox;
  if (!Number.isFinite(top + height)) return "transparent";
  const gradient = made.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, `color-mix(in oklab, ${color} 34%, transparent)`);
  gradient.addColorStop(1, `color-mix(in oklab, ${color} 1%, transparent)`);
  return gradient;
}

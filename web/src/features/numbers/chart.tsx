/**
 * A chart over time: bars on top of each other for amounts, lines for times. One canvas, drawn by
 * uPlot; the charts of the page move their cursors together, and a stretch that is dragged over
 * becomes the range. Its values are also there as a table, see `chart-card.tsx`.
 */
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useStore } from "@/lib/store";
import { theme } from "@/lib/theme";
import type { SeriesPoint } from "./api";
import type { Span } from "./range";
import { stacked } from "./stack";

export interface ChartSeries {
  label: string;
  /** Name of a CSS colour variable, such as `--chart-1`. */
  color: string;
  value: (point: SeriesPoint) => number | null;
}

interface ChartProps {
  points: SeriesPoint[];
  series: ChartSeries[];
  kind: "bars" | "line";
  format: (value: number | null) => string;
  formatAxis: (value: number) => string;
  /** Whether values are whole, so that an axis has no marks between. */
  whole?: boolean;
  onZoom: (span: Span) => void;
}

const HEIGHT = 168;
const SYNC = uPlot.sync("numbers");
/** CSS pixels that must be dragged over, for a click not to be a range. */
const LEAST_DRAG = 8;

export function Chart({ points, series, kind, format, formatAxis, whole, onZoom }: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const current_theme = useStore(theme);
  const latest = useRef({ points, onZoom });
  latest.current = { points, onZoom };

  // The chart is made anew for other colours; new points only move into it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read from the theme's CSS.
  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const zoom = (made: uPlot) => {
      const { left, width } = made.select;
      if (width < LEAST_DRAG) return;
      const at = (x: number) => new Date(made.posToVal(x, "x") * 1000);
      made.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      latest.current.onZoom({ from: at(left), to: at(left + width) });
    };
    const made = new uPlot(
      options(element, { series, kind, formatAxis, whole, onHover: setHovered, onZoom: zoom }),
      toData(latest.current.points, series, kind),
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
  }, [series, kind, formatAxis, whole, current_theme]);

  useEffect(() => {
    plot.current?.setData(toData(points, series, kind));
  }, [points, series, kind]);

  const point = hovered === null ? undefined : points[hovered];
  return (
    <div className="relative" aria-hidden="true">
      <ul className="mb-1 flex min-h-4 flex-wrap gap-x-3 gap-y-0.5 text-xs text-muted-foreground tabular-nums">
        {series.map(({ label, color, value }) => (
          <li key={label} className="flex items-center gap-1.5">
            <span className="size-1.5 rounded-full" style={{ background: `var(${color})` }} />
            {label}
            {point && <span className="text-foreground">{format(value(point))}</span>}
          </li>
        ))}
        {point && <li className="ml-auto">{axisTime(new Date(point.start))}</li>}
      </ul>
      <div ref={frame} style={{ height: HEIGHT }} />
    </div>
  );
}

function toData(
  points: SeriesPoint[],
  series: ChartSeries[],
  kind: ChartProps["kind"],
): uPlot.AlignedData {
  const values = series.map(({ value }) => points.map(value));
  return [
    points.map((point) => Date.parse(point.start) / 1000),
    // The whole pile is drawn first, what it stands on over it.
    ...(kind === "bars" ? stacked(values).reverse() : values),
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
    whole,
    onHover,
    onZoom,
  }: Pick<ChartProps, "series" | "kind" | "formatAxis" | "whole"> & {
    onHover: (index: number | null) => void;
    onZoom: (made: uPlot) => void;
  },
): uPlot.Options {
  const muted = css("--muted-foreground");
  const grid = css("--border");
  const font = `11px ${css("--font-sans") || "sans-serif"}`;
  return {
    width: element.clientWidth,
    height: HEIGHT,
    // At the right, half of what is written below the last mark.
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: {
      // Of the other charts the cursor is moved, but nothing is dragged there.
      sync: { key: SYNC.key, filters: { pub: (type) => type === "mousemove" } },
      drag: { x: true, y: false, setScale: false },
      y: false,
      points: { show: kind === "line" },
    },
    hooks: {
      setCursor: [(made) => onHover(made.cursor.idx ?? null)],
      setSelect: [onZoom],
    },
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
        incrs: whole
          ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7, 1e8]
          : undefined,
        values: (_, splits) => splits.map(formatAxis),
      },
    ],
    series: [
      {},
      ...(kind === "bars" ? series.toReversed() : series).map(
        ({ label, color }, index): uPlot.Series => {
          const stroke = css(color);
          return kind === "bars"
            ? {
                label,
                fill: stroke,
                width: 0,
                points: { show: false },
                paths: uPlot.paths.bars?.({ size: [0.7, 14], radius: 0.2 }),
              }
            : {
                label,
                stroke,
                width: 1.75,
                fill: index === 0 ? (made) => fade(made, stroke) : undefined,
                spanGaps: false,
                points: { show: true, size: 4, fill: stroke, width: 0 },
              };
        },
      ),
    ],
  };
}

function fade(made: uPlot, color: string): CanvasGradient | string {
  const { top, height } = made.bbox;
  if (!Number.isFinite(top + height)) return "transparent";
  const gradient = made.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, `color-mix(in oklab, ${color} 30%, transparent)`);
  gradient.addColorStop(1, `color-mix(in oklab, ${color} 1%, transparent)`);
  return gradient;
}

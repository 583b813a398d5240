/** What else can be done with a view: look at it as a table, take it along as CSV or JSON. */
import { BracesIcon, EllipsisIcon, FileSpreadsheetIcon, Table2Icon } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";

interface ViewMenuProps {
  title: string;
  /** The address of a download, at the moment that it is asked for. */
  url: (format: "csv" | "json") => string;
  /** Whether the table is shown instead of the picture; absent where there is no picture. */
  table?: boolean;
  onTable?: (table: boolean) => void;
}

export function ViewMenu({ title, url, table, onTable }: ViewMenuProps) {
  return (
    <DropdownMenu>
      <DropdownMenuTrigger asChild>
        <Button variant="ghost" size="icon-xs" aria-label={`${title}: table and downloads`}>
          <EllipsisIcon />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent align="end">
        {onTable && (
          <>
            <DropdownMenuItem onSelect={() => onTable(!table)}>
              <Table2Icon />
              {table ? "Show as a chart" : "Show as a table"}
            </DropdownMenuItem>
            <DropdownMenuSeparator />
          </>
        )}
        <Downloads title={title} url={url} />
      </DropdownMenuContent>
    </DropdownMenu>
  );
}

/** Made when the menu opens, so that a range which ends now ends then. */
function Downloads({ title, url }: Pick<ViewMenuProps, "title" | "url">) {
  const [urls] = useState(() => ({ csv: url("csv"), json: url("json") }));
  const name = `tailrace-${title.toLowerCase().replaceAll(" ", "-")}`;
  return (
    <>
      <DropdownMenuItem asChild>
        <a href={urls.csv} download={`${name}.csv`}>
          <FileSpreadsheetIcon />
          Download CSV
        </a>
      </DropdownMenuItem>
      <DropdownMenuItem asChild>
        <a href={urls.json} download={`${name}.json`}>
          <BracesIcon />
          Download JSON
        </a>
      </DropdownMenuItem>
    </>
  );
}

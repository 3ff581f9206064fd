"""The report as a page, and the page that sets runs side by side: files of runs in, one HTML document out."""

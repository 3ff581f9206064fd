"""What cleaning steps know about texts and labels: wrong decoding, web pages, markup, mail, prose, languages, slips, doubt."""

"""The binary log off the server: fetched each minute, cut to each database, stored, its gaps named."""

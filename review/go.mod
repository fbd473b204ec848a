module tenant-permissions/review

go 1.26.0

module forebay.test/kazaam-harness

go 1.21

require github.com/qntfy/kazaam/v4 v4.0.1

require (
	github.com/gofrs/uuid v3.2.0+incompatible // indirect
	github.com/qntfy/jsonparser v1.0.2 // indirect
)
